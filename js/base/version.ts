import { version as fromManifest } from '../../package.json';

/** This package's version. */
export const version: string = fromManifest;
