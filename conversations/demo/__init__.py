"""The demo: an example organization and a ticket that makes the round trip before your eyes."""
