"""Activities: the order of durable steps lives here."""
