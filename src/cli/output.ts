/** Where a command writes: results to `out`, complaints to `err`. Each call is one or more whole lines. */
export type Output = {
  out(text: string): void;
  err(text: string): void;
};
