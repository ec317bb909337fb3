section! {
    /// Limits on everything that one mesh holds and accepts, and that a peer can make grow.
    Limits as MeshLimits {
        /// The largest payload in either direction, in bytes.
        max_message: u32 = "maxMessageBytes" ("number"), bytes(4 << 20), |at| at.integer(1024, 256 << 20);
        /// The memory budget, in bytes: the most that is held for all peers and calls together. It counts frames,
        /// requests, items and answers, and their JSON as values. One peer has half of it at most. At least 4
        /// MiB, and at least 16 times `maxMessageBytes`. Beyond it: `MEMORY_LIMIT`.
        max_memory: Option<u64> = "maxMemoryBytes" ("number"),
            absent("256 MiB, or 16 times `maxMessageBytes` if that is more"),
            |at| Ok(at.multiple_of("maxMessageBytes", 4 << 20, MEMORY_PER_MESSAGE, 4 << 20)?.map(Some));
        /// The most calls in flight on one session, in each direction.
        max_calls: u32 = "maxConcurrentCalls" ("number"), count(1024), |at| at.integer(1, 1 << 20);
        /// The most calls this mesh has in flight in all.
        max_pending_calls: u32 = "maxPendingCalls" ("number"), count(16_384), |at| at.integer(1, 1 << 20);
        /// The most calls in a chain, each made by the handler of the previous one, 1…254. Beyond it:
        /// `CALL_DEPTH`, with the path. The limit breaks a cycle of services that call one another.
        max_call_depth: u32 = "maxCallDepth" ("number"), count(64), |at| at.integer(1, 254);
        /// The most sessions accepted in all.
        max_sessions: u32 = "maxSessions" ("number"), count(10_000), |at| at.integer(1, 1 << 20);
        /// The most sessions accepted from one service.
        max_sessions_per_peer: u32 = "maxSessionsPerPeer" ("number"), count(64), |at| at.integer(1, 1 << 20);
        /// The most handshakes in progress. Four times as many streams may wait for their first message.
        max_pending_handshakes: u32 = "maxPendingHandshakes" ("number"), count(256),
            |at| at.integer(1, 1 << 16);
        /// The most handshakes in progress from one address.
        max_pending_handshakes_per_address: u32 = "maxPendingHandshakesPerAddress" ("number"), count(64),
            |at| at.integer(1, 1 << 16);
        /// The most TCP connections accepted. A quarter of them, at most 2,048, may be without a session;
        /// newcomers evict those.
        max_connections: u32 = "maxConnections" ("number"), count(12_000), |at| at.integer(1, 1 << 20);
        /// The time that a connection has for its handshake, or for a health check, in ms.
        handshake_timeout: Duration = "handshakeTimeoutMs" ("number"), seconds(10),
            |at| at.millis(HOUR);
        /// The time that a call has unless it sets its own `timeoutMs`, in ms.
        call_timeout: Duration = "callTimeoutMs" ("number"), seconds(10), |at| at.millis(HOUR);
    }
}
