if (sessions.getSession(session.id)?.id !== session.id) throw new Error('the session is not kept');
