"""How Lodeline sits on Prefect: what prefect.yaml says, its registration on a server, settings of server and worker."""
