import { render } from 'preact';
import { followAgent } from './agent/follow-agent.ts';
import { App } from './app.tsx';
import { startTheme } from './parts/theme.ts';
import { startLanguage } from './texts/language.ts';

startTheme();
await startLanguage();
const root = document.getElementById('app');
if (root !== null) render(<App />, root);
await followAgent();
