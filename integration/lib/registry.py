"""A real schema registry: Apicurio with its Confluent-compatible API, in memory, on loopback."""

import json
import urllib.error
import urllib.request

import rig
from rig import CACHE, VERSIONS


class Registry:
    """Ready when the constructor returns; `url` is what goes into the configuration."""

    def __init__(self, scenario):
        (port,) = rig.free_ports(1)
        jar = CACHE / f"apicurio-{VERSIONS['APICURIO']}" / f"apicurio-registry-app-{VERSIONS['APICURIO']}-runner.jar"
        self.url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
        folder = scenario.folder / "registry"
        folder.mkdir()
        self.process = scenario.process("registry", ["java", "-Xmx256m", "-XX:+UseSerialGC", f"-Dquarkus.http.port={port}",
                                                     "-Dquarkus.http.host=127.0.0.1", "-jar", jar], cwd=folder)
        rig.wait_until(self.ready, 60, "the schema registry")

    def ready(self):
        self.process.expect_running()
        try:
            return self.request("GET", "/subjects") is not None
        except (urllib.error.URLError, ConnectionError):
            return False

    def request(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, method=method,
                                         data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": "application/vnd.schemaregistry.v1+json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def register(self, subject, schema):
        """Registers an Avro schema (as Python value) and returns its id."""
        return self.request("POST", f"/subjects/{subject}/versions", {"schema": json.dumps(schema)})["id"]
