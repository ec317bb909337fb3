await mesh.cleanup();
