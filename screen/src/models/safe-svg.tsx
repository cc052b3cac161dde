import { h, type JSX, type VNode } from 'preact';
import { useAnswer } from '../parts/use-answer.ts';
import { t } from '../texts/language.ts';
import { Problem } from '../parts/problem.tsx';

const elements: ReadonlySet<string> = new Set(['svg', 'g', 'path', 'line', 'rect', 'circle', 'text', 'tspan', 'title']);
const attributes: ReadonlySet<string> = new Set(
  (
    'viewBox x y x1 x2 y1 y2 cx cy r d width height points transform fill stroke stroke-width stroke-dasharray opacity ' +
    'text-anchor font-size font-weight'
  ).split(' '),
);

type SafeSvgProps = {
  readonly label: string;
  readonly file: string;
  readonly readFile: (file: string) => Promise<string>;
};

/**
 * A plot of a report, drawn from the shapes and texts of the file. Everything else in it is left out: a package may come from
 * elsewhere. An image element would not send the token of the page.
 */
export function SafeSvg({ label, file, readFile }: SafeSvgProps): JSX.Element {
  const { data, problem } = useAnswer(file, () => readFile(file));
  if (problem.value !== undefined) return <Problem text={problem} />;
  if (data.value === undefined) return <p class="empty">{t('page.loading')}</p>;
  const root = new DOMParser().parseFromString(data.value, 'image/svg+xml').documentElement;
  if (root.tagName !== 'svg') return <p>{label}</p>;
  return (
    <figure role="img" aria-label={label}>
      {shapeOf(root)}
    </figure>
  );
}

function shapeOf(element: Element): VNode | undefined {
  if (!elements.has(element.tagName)) return undefined;
  const kept = [...element.attributes].filter(({ name }) => attributes.has(name));
  const isRoot = element.tagName === 'svg';
  const size: readonly string[] = isRoot ? ['width', 'height'] : [];
  const props = Object.fromEntries(
    kept.filter(({ name }) => !size.includes(name)).map(({ name, value }) => [name, value]),
  );
  const children = [...element.childNodes].map((child) =>
    child instanceof Element ? shapeOf(child) : child.nodeType === Node.TEXT_NODE ? child.textContent : undefined,
  );
  return h(element.tagName, isRoot ? { ...props, 'aria-hidden': 'true' } : props, ...children);
}
