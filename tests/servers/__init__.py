"""Protocol servers: test programs written from the wire facts, never from our own clients."""
