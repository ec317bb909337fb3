await kit.cleanup();
