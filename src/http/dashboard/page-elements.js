// Elements and texts of the page.

export const element = (id) => document.getElementById(id);
export const format = (value) =>
  value === null || value === undefined ? '–' : Number(value.toPrecision(4)).toString();
export const clock = (ms) => new Date(ms).toLocaleTimeString();

export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'dataset') Object.assign(node.dataset, value);
    else node[name] = value;
  }
  node.append(...children);
  return node;
}
