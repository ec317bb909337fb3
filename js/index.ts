export { MeshError, type MeshErrorCode, type MeshErrorOptions } from './errors.js';

/** This package's version. */
export { version } from './version.js';
