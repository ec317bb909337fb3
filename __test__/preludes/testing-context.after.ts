assert(cancelled.signal.aborted);
