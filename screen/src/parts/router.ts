import { computed, signal } from '@preact/signals';
import type { TargetedMouseEvent } from 'preact';

const path = signal(location.pathname + location.search);
addEventListener('popstate', () => (path.value = location.pathname + location.search));

/** A page of this application, from the path in the address bar. */
export type Route =
  | {
      readonly page:
        | 'line'
        | 'alarms'
        | 'journal'
        | 'statistics'
        | 'trends'
        | 'configuration'
        | 'system'
        | 'kiosk'
        | 'unknown';
    }
  | { readonly page: 'machine'; readonly watch: string }
  /** `model` is undefined for the list alone. */
  | { readonly page: 'models'; readonly model: string | undefined };

export const route = computed((): Route => routeOf(new URL(path.value, location.origin).pathname));
export const query = computed(() => new URL(path.value, location.origin).searchParams);

/** Returns the page of a path. */
function routeOf(pathname: string): Route {
  switch (pathname) {
    case '/':
      return { page: 'line' };
    case '/alarms':
      return { page: 'alarms' };
    case '/alarms/journal':
      return { page: 'journal' };
    case '/alarms/statistics':
      return { page: 'statistics' };
    case '/trends':
    case '/configuration':
    case '/system':
    case '/kiosk':
      return { page: pathname.slice(1) as 'trends' | 'configuration' | 'system' | 'kiosk' };
    case '/models':
      return { page: 'models', model: undefined };
    default: {
      const model = /^\/models\/([^/]+)$/.exec(pathname)?.[1];
      if (model !== undefined) return { page: 'models', model: decodeURIComponent(model) };
      const watch = /^\/machine\/(.+)$/.exec(pathname)?.[1];
      return watch === undefined ? { page: 'unknown' } : { page: 'machine', watch: decodeURIComponent(watch) };
    }
  }
}

/** Returns the path of the page of a watch. */
export function machinePath(watch: string): string {
  return `/machine/${encodeURIComponent(watch)}`;
}

/** Returns the path of the page of a model. */
export function modelPath(model: string): string {
  return `/models/${encodeURIComponent(model)}`;
}

/** Opens a page of this application. */
function go(to: string): void {
  history.pushState(null, '', to);
  path.value = location.pathname + location.search;
  scrollTo(0, 0);
}

/** Changes the query of the present page without a step in the browser's history. */
export function setQuery(values: Readonly<Record<string, string | undefined>>): void {
  const url = new URL(location.href);
  for (const [name, value] of Object.entries(values))
    if (value === undefined || value === '') url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  history.replaceState(null, '', url);
  path.value = location.pathname + location.search;
}

/** Follows a link inside the application without loading the page. */
export function follow(event: TargetedMouseEvent<HTMLAnchorElement>): void {
  if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  const { pathname, search } = event.currentTarget;
  go(pathname + search);
}
