// This package without any record of calls: neither an admin port, nor monitoring, nor anybody who may observe.
import { peer } from './mesh.mjs';

export default peer('secure-stack-mesh, nothing recorded', () => ({ observe: false }));
