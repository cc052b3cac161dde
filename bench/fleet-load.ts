export const FLEET_DEVICES = 50;
export const FLEET_TAGS_PER_DEVICE = 200;
export const FLEET_SCAN_INTERVAL_MS = 100;
