"""Manifests from standard input to standard output, as one list of JSON: if they are of kinds that
the API has, with fields that it knows, of the right types, and all that it wants. (It is Debian's
client's idea of the API, which is that of Kubernetes 1.22; NEWER is what came since.)"""
import json
import re
import sys

import yaml
from kubernetes import client

NEWER = {("V1Container", "restartPolicy")}
PLAIN = {"str": str, "int": int, "bool": bool, "object": object}


def built(type_name, value, where):
    """The value, as what the API calls type_name."""
    listed = re.fullmatch(r"list\[(.*)\]", type_name)
    mapped = re.fullmatch(r"dict\(str, (.*)\)", type_name)
    if listed:
        return [built(listed[1], v, f"{where}[{i}]") for i, v in enumerate(value)]
    if mapped:
        return {k: built(mapped[1], v, f"{where}.{k}") for k, v in value.items()}
    if type_name in PLAIN:
        if not isinstance(value, PLAIN[type_name]):
            raise ValueError(f"{where}: {value!r} is no {type_name}")
        return value
    model = getattr(client, type_name)
    fields = {name: field for field, name in model.attribute_map.items()}
    arguments = {}
    for name, v in value.items():
        if (type_name, name) in NEWER:
            continue
        if name not in fields:
            raise ValueError(f"{where}: {type_name} has no {name}")
        if v is None:
            continue
        arguments[fields[name]] = built(model.openapi_types[fields[name]], v, f"{where}.{name}")
    try:
        return model(**arguments)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def check(manifest):
    """Is it something that the API could be asked to make?"""
    kind = manifest["kind"]
    group, _, version = manifest["apiVersion"].rpartition("/")
    api = getattr(client, (group.split(".")[0] or "core").capitalize() + version.capitalize() + "Api")
    method = re.sub(r"(?<!^)([A-Z])", r"_\1", kind).lower()
    if not hasattr(api, f"create_namespaced_{method}") and not hasattr(api, f"create_{method}"):
        raise ValueError(f"{manifest['apiVersion']} has no {kind}")
    built(version.capitalize() + kind, manifest, f"{kind} {manifest['metadata']['name']}")


def main():
    manifests = [m for m in yaml.safe_load_all(sys.stdin) if m]
    for manifest in manifests:
        check(manifest)
    json.dump(manifests, sys.stdout)


main()
