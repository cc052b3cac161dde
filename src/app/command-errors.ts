import { type ErrorCatalogue, failures, reject, retry } from '../platform/errors.ts';

/** Errors of commands that are not the daemon. */
export const commandErrors = {
  'opcua-certificate-configured': reject(
    'The certificate of an OPC UA source comes from the configuration, so andon cannot renew it.',
    'Renew it where it was made, or remove `certificate` from the source: andon then uses a certificate of its own.',
  ),
  'agent-not-reached': retry(
    'The command found no running agent at the URL it was given, or one that does not answer it as it should.',
    'Check that the agent runs (`systemctl status andon`) and that `http.listen` is the address, or pass it with `--url`. Run it as root or as the Unix user of the agent: it reads the token next to the outbox, which the agent writes at its start.',
  ),
  'account-exists': reject(
    'A token with this name exists.',
    'Remove it with `andon tokens remove NAME`, or use another name: several tokens are valid at the same time.',
  ),
  'account-invalid': reject(
    'The name or the validity of a user or token is wrong.',
    'Names are 1 to 64 letters, digits and . _ @ -; validity is a duration such as 365d.',
  ),
  'account-unknown': reject('There is no such user or token.', '`andon users list` and `andon tokens list` show them.'),
  'password-refused': reject(
    'The new password is too short, contains the name of the user, or could not be asked for.',
    'Use 12 characters or more, or `--generate`.',
  ),
  'not-confirmed': reject(
    'The command asks before it acts, and there is no terminal.',
    'Run it at a terminal, or with `--yes`.',
  ),
  'channel-unknown': reject('The configuration has no such channel of notifications.', 'See section `notify`.'),
  'output-unknown': reject('The configuration has no output of this name.', 'See section `outputs`.'),
  'output-held': reject(
    'The test of an output is refused: its file may be changed by more than an administrator, or the duration is too long.',
    'Run the command that the message names.',
  ),
  'unit-missing': reject(
    'The command needs the systemd unit of andon, which is not installed.',
    'Install the service: docs/install.md.',
  ),
  'gpu-wheel-missing': reject(
    'A wheel file with CUDA libraries is missing.',
    '`andon gpu wheels` lists the files with the command that downloads them.',
  ),
  'gpu-wheel-refused': reject(
    'The SHA-256 of a wheel file is not that of the list: the file is damaged, or another version or platform.',
    'Download it again with the options that `andon gpu wheels` prints.',
  ),
  'gpu-not-installed': retry(
    'The CUDA libraries cannot be written.',
    'Run the command with sudo; it needs 2.5 GB of disk.',
  ),
  'gpu-check-failed': retry(
    'The check of the execution providers ended without a report in the sandbox of the service.',
    'Run `andon gpu check --no-sandbox`, and read the log of systemd: `journalctl -e`.',
  ),
  'unit-not-written': retry('The drop-in of the systemd unit cannot be written.', 'Run the command with sudo.'),
  'file-exists': reject('The command would overwrite a file.', 'Give another name, or move the file away.'),
  'import-unreadable': reject(
    '`andon import` cannot read a file that it was given.',
    'Check the path and its permissions. A spreadsheet (.xlsx) must be saved as CSV first.',
  ),
  'import-undecided': reject(
    'The file of `andon import` leaves the address base or the byte order open, and there is no terminal to ask at. Nothing is written; the exit code is 64.',
    'Give the options that the message names. `andon probe URL --expect VALUE` finds both.',
  ),
  'file-not-merged': reject(
    'The file that `andon import` is to merge into cannot be read, or is not a configuration.',
    'Correct the file, or name another one with `--out`.',
  ),
  'init-incomplete': reject(
    '`andon init` without a terminal cannot ask for what is missing.',
    'Give `--url`, and `--tags FILE` or `--scan`.',
  ),
  'scan-found-nothing': retry(
    'The device or broker did not answer, or has nothing that can be read.',
    'Check URL, unit id and line settings with `andon scan` and `andon probe`.',
  ),
  'source-unknown': reject(
    'The command names a source that the configuration does not have, or none although there are several.',
    'Name one of the sources in the message with `--source`.',
  ),
  'backup-failed': retry(
    '`andon backup` cannot copy a database or write its file.',
    'The message names the file. Check the free space and the rights: run it as the user of the agent or as root.',
  ),
  'backup-unreadable': reject(
    'The file for `andon restore` is not a backup of andon, or it is damaged. Nothing was changed.',
    'Take another copy of the backup.',
  ),
  'backup-passphrase': reject(
    'A backup is encrypted and the passphrase is missing or wrong, or the file was changed; or a new passphrase is too short. Nothing was changed.',
    'Give the passphrase with `--passphrase-file` or `--passphrase-env`. A new one needs 12 characters or more.',
  ),
  'simulate-nowhere': reject(
    '`andon simulate` has no address to serve the recording at.',
    'Give `--modbus tcp://127.0.0.1:1502`, `--mqtt mqtt://127.0.0.1:1883` or both.',
  ),
} as const satisfies ErrorCatalogue;

/** Creates an OperatingError with the disposition of its code in the catalogue. */
export const commandFailure = failures(commandErrors);
