"""Configuration files: YAML with line numbers, ``${NAME}`` from elsewhere, all faults at once and in plain words."""

from storage.configuration.load import load
from storage.configuration.resolvers import Resolver, from_environment, from_folder, in_turn, usual_resolver
from storage.configuration.section import (
    ApiKey,
    BucketAddress,
    CronExpression,
    EmailAddress,
    FolderOrBucket,
    Name,
    PollingInterval,
    Section,
    SocketAddress,
    TimeZoneName,
    WebAddress,
)
from storage.configuration.unique import Unique
from storage.configuration.within import Within, refuse

__all__ = [
    "ApiKey",
    "BucketAddress",
    "CronExpression",
    "EmailAddress",
    "FolderOrBucket",
    "Name",
    "PollingInterval",
    "Resolver",
    "Section",
    "SocketAddress",
    "TimeZoneName",
    "Unique",
    "WebAddress",
    "Within",
    "from_environment",
    "from_folder",
    "in_turn",
    "load",
    "refuse",
    "usual_resolver",
]
