// @vitest-environment happy-dom
import { render } from 'preact';
import { expect, test } from 'vitest';
import { blocksOf, Markdown } from '../src/models/markdown.tsx';

const report = `# wpca, anomaly

Two lines of
one paragraph.

| | |
| --- | --- |
| rows | 600 |

- **level** moves \`twice\`
- other

![Score](score.svg)
`;

test('a report is read as headings, paragraphs, tables, lists and plots', () => {
  expect(blocksOf(report)).toEqual([
    { kind: 'heading', level: 1, text: 'wpca, anomaly' },
    { kind: 'paragraph', text: 'Two lines of one paragraph.' },
    { kind: 'table', head: ['', ''], rows: [['rows', '600']] },
    { kind: 'list', items: ['**level** moves `twice`', 'other'] },
    { kind: 'image', label: 'Score', file: 'score.svg' },
  ]);
});

test('markup and scripts of a report are shown as text, and those of a plot are left out', async () => {
  const plot =
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9" onload="x()"><script>x()</script><image href="http://a/b"/><a href="javascript:x()"/><path d="M0 0" onclick="x()" fill="red"/></svg>';
  const text = '<img src=x onerror=x()> **bold** [a](javascript:x())\n\n![Plot](plot.svg)';
  const parent = document.createElement('div');
  render(<Markdown text={text} readFile={() => Promise.resolve(plot)} />, parent);
  await expect.poll(() => parent.querySelector('svg path')?.getAttribute('fill')).toBe('red');
  expect(parent.querySelector('p')?.textContent).toBe('<img src=x onerror=x()> bold [a](javascript:x())');
  expect(parent.querySelectorAll('img, a, script, image').length).toBe(0);
  expect(parent.innerHTML).not.toMatch(/onclick|onload/);
});
