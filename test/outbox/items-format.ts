import type { DatabaseFormat } from '../../src/outbox/file/database-format.ts';

export const ITEMS = 3000;

/** Format 1 of a table of items; its values are multiples of 1. */
export const itemsFormat1: DatabaseFormat = {
  name: 'items',
  migrations: [
    (database) => {
      database.exec('CREATE TABLE item (item INTEGER PRIMARY KEY, value INTEGER NOT NULL, padding TEXT NOT NULL)');
      const add = database.prepare('INSERT INTO item (value, padding) VALUES (?, ?)');
      for (let item = 1; item <= ITEMS; item += 1) add.run(item, 'x'.repeat(500));
    },
  ],
};

/** Format 2 of the same table, in which every value is ten times the old one. @param onRow Called before each row. */
export function itemsFormat(onRow: (row: number) => void = () => undefined): DatabaseFormat {
  return {
    name: 'items',
    migrations: [
      ...itemsFormat1.migrations,
      (database) => {
        const update = database.prepare('UPDATE item SET value = value * 10 WHERE item = ?');
        for (let item = 1; item <= ITEMS; item += 1) {
          onRow(item);
          update.run(item);
        }
      },
    ],
  };
}
