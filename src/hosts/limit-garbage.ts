import { setFlagsFromString } from 'node:v8';

/*
 * Loaded before the program of a process (`--import`): limits the garbage in its heaps to 40 % of the live objects, at least
 * 8 MB. On a machine with much memory V8 lets the old generation grow to four times its live objects, so that connections that
 * come and go would add 100 MB. After the first collection of the old generation it would be too late. The flag is not on the
 * command line, because Node does not start with a flag that its V8 does not have.
 */
setFlagsFromString('--heap-growing-percent=40');
