"""The spool: the durable point of every host. What a tick collected is here, fsynced, before anything else is tried."""
