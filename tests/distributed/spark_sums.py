"""Run by the Python that has pyspark: sums over the files it is given, as JSON with what it took in seconds."""

from __future__ import annotations

import json
import sys
import time


def main() -> None:
    from pyspark.sql import SparkSession, functions  # type: ignore[import-not-found]

    begun = time.perf_counter()
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    for name, value in (("bindAddress", "127.0.0.1"), ("host", "127.0.0.1"), ("memory", "1g")):
        builder = builder.config(f"spark.driver.{name}", value)
    spark = builder.config("spark.sql.session.timeZone", "UTC").getOrCreate()
    started = time.perf_counter()
    rows = spark.read.parquet(*json.load(sys.stdin)).agg(
        functions.count("*").alias("rows"),
        functions.countDistinct("miner_id").alias("miners"),
        functions.sum("shares_accepted").alias("shares_accepted"),
    )
    answer = rows.collect()[0].asDict()
    took = {"start_s": started - begun, "query_s": time.perf_counter() - started}
    spark.stop()
    print(json.dumps({**answer, **took}))


if __name__ == "__main__":
    main()
