import type { enSystem } from './en-system.ts';

/** Texts of the page of the system in German. */
export const deSystem: Readonly<Record<keyof typeof enSystem, string>> = {
  'system.log': 'Protokoll',
  'system.logLevel': 'Stufe',
  'system.logSearch': 'Protokoll durchsuchen',
  'system.logCount': 'Zeilen: {count}',
  'log.debug': 'Debug',
  'log.info': 'Information',
  'log.warn': 'Warnung',
  'log.error': 'Fehler',
  'system.rewind': 'Erneut senden…',
  'system.rewindHint':
    'Gelieferte Datensätze werden mit denselben Kennungen erneut gesendet, soweit sie gespeichert sind.',
  'system.rewindFrom': 'Ab',
  'system.rewindAsk': 'Alle Datensätze von {uplink} ab {time} erneut senden?',
  'system.rewindNow': 'Erneut senden',
  'system.rewound': 'Erneut gesendete Datensätze: {count}, ab {time}.',
  'system.backup': 'Sicherung',
  'system.backupHint':
    'Datensätze, Alarme, Verlauf, Modelle und Konfiguration in einer Datei für andon restore. Geheimnisse sind nicht enthalten.',
  'system.passphrase': 'Passphrase (optional)',
  'system.passphraseShort': 'Die Passphrase braucht mindestens {count} Zeichen.',
  'system.backupHistory': 'mit dem Verlauf der Messwerte',
  'system.backupStart': 'Sicherung herunterladen',
  'system.backupRuns': 'Die Sicherung wird geschrieben…',
  'system.backupDone': 'Heruntergeladen: {name}',
  'system.libraries': 'Bibliotheken',
  'system.machine': 'System',
};
