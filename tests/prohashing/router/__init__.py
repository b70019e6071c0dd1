"""The WAMP router that tests start: Crossbar, in an environment of its own (it needs an idna that Prefect's anyio
does not take)."""
