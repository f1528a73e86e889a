"""The long fault run: thousands of messages while processes, database and network fail."""
