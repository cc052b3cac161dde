import type { Command, Option } from 'commander';
import { output } from './output/command.ts';

/** Defines `andon completion`. It needs every other command defined. */
export function defineCompletion(completion: Command): void {
  completion.argument('<shell>', 'bash, zsh or fish').action((shell: string, _options: object, command: Command) => {
    const program = command.parent ?? command;
    if (shell === 'bash') return output.out(bashScript(program));
    // zsh understands the functions of bash.
    if (shell === 'zsh') return output.out(`autoload -U +X bashcompinit && bashcompinit\n${bashScript(program)}`);
    if (shell === 'fish') return output.out(fishScript(program));
    return command.error(`error: unknown shell '${shell}': expected bash, zsh or fish`);
  });
}

type Entry = { readonly path: string; readonly words: readonly string[]; readonly command: Command };

/** Returns each command with the words that may follow it. */
function entries(command: Command, path = ''): readonly Entry[] {
  const words = [...command.commands.map((each) => each.name()), ...command.options.flatMap(flags)];
  const below = command.commands.flatMap((each) => entries(each, `${path} ${each.name()}`.trim()));
  return [{ path, words, command }, ...below];
}

function flags({ short, long }: Option): readonly string[] {
  return [short, long].filter((flag) => flag !== undefined);
}

function bashScript(program: Command): string {
  const cases = entries(program).map(({ path, words }) => `    "${path}") words="${words.join(' ')}" ;;`);
  return `_andon() {
  local path="" word words=""
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) break ;; *) path="\${path:+$path }$word" ;; esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _andon andon
`;
}

function fishScript(program: Command): string {
  const quoted = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const lines = entries(program).flatMap(({ path, command }) => {
    const isHere = path === '' ? '__fish_use_subcommand' : `__fish_seen_subcommand_from ${path.split(' ').at(-1)}`;
    return [
      ...command.commands.map(
        (each) => `complete -c andon -n ${quoted(isHere)} -f -a ${each.name()} -d ${quoted(each.description())}`,
      ),
      ...command.options.flatMap(({ long, description }) =>
        long === undefined
          ? []
          : [`complete -c andon -n ${quoted(isHere)} -l ${long.slice(2)} -d ${quoted(description)}`],
      ),
    ];
  });
  return `${lines.join('\n')}\n`;
}
