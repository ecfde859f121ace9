"""The engine for a feed that one machine no longer counts: Spark, here in local mode. Imported only when asked for."""

from __future__ import annotations

import logging
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import duckdb

from pipeline.dataset.feed import Columns
from pipeline.errors import LentaError
from pipeline.tables.formats import quoted

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CORES = 2
MEMORY = "1500m"
PARTITIONS = 8
JAVA = "Java 17 or later (Debian: apt-get install default-jre-headless)"
_QUIET = """
rootLogger.level = fatal
logger.gateway.name = org.apache.spark.api.python.PythonGatewayServer
logger.gateway.level = fatal
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
"""


@dataclass(frozen=True)
class Spark:
    """Tables travel as Parquet in `folder`, so that a table is computed once and memory holds no whole one."""

    session: SparkSession
    database: duckdb.DuckDBPyConnection
    folder: Path

    def take(self, *names: str) -> None:
        for name in names:
            self.database.execute(f"COPY {name} TO {quoted(self._path(name))} (FORMAT parquet)")
            self._show(name)

    def keep(self, name: str, query: str) -> None:
        self.session.sql(query).write.mode("overwrite").parquet(self._path(name))
        self._show(name)

    def fetch(self, query: str) -> Columns:
        table = self.session.sql(query).toArrow()
        return {name: table[name].to_numpy() for name in table.column_names}

    def _path(self, name: str) -> str:
        return str(self.folder / f"{name}.parquet")

    def _show(self, name: str) -> None:
        self.session.read.parquet(self._path(name)).createOrReplaceTempView(name)


def find_java() -> str | None:
    """Where Spark looks for it: under JAVA_HOME, else on PATH."""
    home = os.environ.get("JAVA_HOME")
    return shutil.which(f"{home}/bin/java" if home else "java")


@contextmanager
def local_spark(
    database: duckdb.DuckDBPyConnection, cores: int = CORES, memory: str = MEMORY, partitions: int = PARTITIONS
) -> Iterator[Spark]:
    """memory: of its JVM. Raises LentaError where pyspark or Java is missing."""
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise LentaError("pyspark is missing; run `pip install lenta-pipeline[spark]`") from error
    if find_java() is None:
        raise LentaError(f"Spark needs {JAVA}; there is none on PATH or under JAVA_HOME")
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)  # none is made here
    with TemporaryDirectory(prefix="lenta-spark-") as name:
        folder = Path(name)
        (folder / "log4j2.properties").write_text(_QUIET)
        settings: dict[str, bool | float | int | str | None] = {
            "spark.driver.memory": memory,
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile=file:{folder}/log4j2.properties",
            "spark.sql.shuffle.partitions": partitions,
            "spark.sql.warehouse.dir": f"{name}/warehouse",
            "spark.ui.enabled": False,
            "spark.ui.showConsoleProgress": False,
        }
        logging.getLogger("py4j").setLevel(logging.WARNING)  # else it tells of every connection, up to the very end
        try:
            session = SparkSession.builder.master(f"local[{cores}]").appName("lenta").config(map=settings).getOrCreate()
        except PySparkException as error:
            raise LentaError(f"Spark did not start: {error}. It needs {JAVA}") from error
        try:
            yield Spark(session, database, folder)
        finally:
            session.stop()
