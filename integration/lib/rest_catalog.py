"""A real REST catalog: the server that Iceberg tests its own clients with, tables in a local warehouse."""

import json
import urllib.error
import urllib.parse
import urllib.request

import rig
from rig import CACHE, VERSIONS


class RestCatalog:
    """Ready when the constructor returns. Killed and started again, it has its tables still."""

    def __init__(self, scenario, name="catalog", warehouse=None):
        self.scenario, self.name = scenario, name
        self.folder = scenario.folder / name
        self.folder.mkdir()
        self.warehouse = warehouse or self.folder / "warehouse"
        (self.port,) = rig.free_ports(1)
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process = None
        self.start()

    def start(self):
        self.launch()
        rig.wait_until(self.ready, 90, "the REST catalog")

    def launch(self):
        jar = CACHE / "jars" / f"iceberg-open-api-{VERSIONS['ICEBERG_OPEN_API']}.jar"
        env = {"CATALOG_WAREHOUSE": f"file://{self.warehouse}", "CATALOG_URI": f"jdbc:sqlite:{self.folder}/catalog.db",
               "CATALOG_CLIENTS": "1", "CATALOG_REST_PORT": str(self.port)}
        self.process = self.scenario.process(self.name, ["java", "-Xmx256m", "-XX:+UseSerialGC", "-jar", jar], cwd=self.folder,
                                             env=env)

    def kill(self):
        self.process.child.kill()
        self.process.child.wait()

    def ready(self):
        self.process.expect_running()
        try:
            return self.request("/v1/config") is not None
        except (urllib.error.URLError, ConnectionError):
            return False

    def request(self, path, seconds=10):
        with urllib.request.urlopen(self.uri + path, timeout=seconds) as answer:
            return json.load(answer)

    def metadata(self, namespace, table, seconds=10):
        """The newest metadata document, as the catalog gives it; None when there is no table."""
        levels = urllib.parse.quote(namespace.replace(".", "\x1f"), safe="")
        try:
            return self.request(f"/v1/namespaces/{levels}/tables/{table}?snapshots=all", seconds)["metadata"]
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return None
