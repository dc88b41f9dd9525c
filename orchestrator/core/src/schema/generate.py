#!/usr/bin/env python3
"""Writes kubernetes.txt, the table of the published API types, from their Go definitions.

usage: generate.py API APIMACHINERY [APIEXTENSIONS [AGGREGATOR]] [--release vX.Y.0] > kubernetes.txt

The arguments are checkouts (or bare git directories) of k8s.io/api, k8s.io/apimachinery,
k8s.io/apiextensions-apiserver and k8s.io/kube-aggregator. Only facts are taken over: names, protobuf numbers, types, markers, defaults and enum
values. With --release, fields that the round-trip data of that release does not know are left out.

The format, one item a line, a field's parts apart by tabs:
    @PACKAGE GROUP/VERSION        the types that follow belong to this package
    :Name [atomic] [top]          a type; `top` has apiVersion and kind, i.e. is a kind
    name number kind [flags]      a field: JSON name, protobuf number (0: none)
kind:  string int32 int64 bool bytes double time microtime duration quantity intorstring fieldsv1 raw json any
       schemaorbool schemaorarray schemaorstrings, []KIND, {}KIND (a map), =Type or =package.Type
flags: r required, p pointer, o omitempty, z omitzero, via=N[.M] (inlined from the message in field N, in its field M),
       list=atomic|set|map:KEY,KEY  map=atomic  patch=STRATEGY,...[:KEY]  default=JSON  enum=A|B
"""

import json
import os
import re
import subprocess
import sys
import tempfile

PACKAGES = [  # folder in its tree, tree, package name, group/version
    ("pkg/apis/meta/v1", "apimachinery", "io.k8s.apimachinery.pkg.apis.meta.v1", "meta.k8s.io/v1"),
    ("core/v1", "api", "io.k8s.api.core.v1", "v1"),
    ("apps/v1", "api", "io.k8s.api.apps.v1", "apps/v1"),
    ("batch/v1", "api", "io.k8s.api.batch.v1", "batch/v1"),
    ("autoscaling/v1", "api", "io.k8s.api.autoscaling.v1", "autoscaling/v1"),
    ("autoscaling/v2", "api", "io.k8s.api.autoscaling.v2", "autoscaling/v2"),
    ("discovery/v1", "api", "io.k8s.api.discovery.v1", "discovery.k8s.io/v1"),
    ("networking/v1", "api", "io.k8s.api.networking.v1", "networking.k8s.io/v1"),
    ("policy/v1", "api", "io.k8s.api.policy.v1", "policy/v1"),
    ("rbac/v1", "api", "io.k8s.api.rbac.v1", "rbac.authorization.k8s.io/v1"),
    ("coordination/v1", "api", "io.k8s.api.coordination.v1", "coordination.k8s.io/v1"),
    ("storage/v1", "api", "io.k8s.api.storage.v1", "storage.k8s.io/v1"),
    ("scheduling/v1", "api", "io.k8s.api.scheduling.v1", "scheduling.k8s.io/v1"),
    ("node/v1", "api", "io.k8s.api.node.v1", "node.k8s.io/v1"),
    ("events/v1", "api", "io.k8s.api.events.v1", "events.k8s.io/v1"),
    ("authentication/v1", "api", "io.k8s.api.authentication.v1", "authentication.k8s.io/v1"),
    ("authorization/v1", "api", "io.k8s.api.authorization.v1", "authorization.k8s.io/v1"),
    ("certificates/v1", "api", "io.k8s.api.certificates.v1", "certificates.k8s.io/v1"),
    ("admissionregistration/v1", "api", "io.k8s.api.admissionregistration.v1",
     "admissionregistration.k8s.io/v1"),
    ("flowcontrol/v1", "api", "io.k8s.api.flowcontrol.v1", "flowcontrol.apiserver.k8s.io/v1"),
    ("pkg/apis/apiregistration/v1", "aggregator", "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1",
     "apiregistration.k8s.io/v1"),
    ("pkg/apis/apiextensions/v1", "apiextensions",
     "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1", "apiextensions.k8s.io/v1"),
]

META = PACKAGES[0][2]
EXTENSIONS = PACKAGES[-1][2]
IMPORTS = {"metav1": META, "v1": "io.k8s.api.core.v1", "corev1": "io.k8s.api.core.v1",
           "apiv1": "io.k8s.api.core.v1", "authenticationv1": "io.k8s.api.authentication.v1"}
SCALARS = {"string": "string", "int32": "int32", "int64": "int64", "int": "int64", "bool": "bool",
           "float64": "double", "[]byte": "bytes", "interface{}": "any", "uint16": "int32", "any": "any",
           "resource.Quantity": "quantity", "intstr.IntOrString": "intorstring",
           "runtime.RawExtension": "raw", "types.UID": "string", "types.NodeName": "string",
           "types.NamespacedName": "string"}
SPECIAL = {(META, "Time"): "time", (META, "MicroTime"): "microtime", (META, "Duration"): "duration",
           (META, "FieldsV1"): "fieldsv1", (EXTENSIONS, "JSON"): "json",
           (EXTENSIONS, "JSONSchemaPropsOrBool"): "schemaorbool",
           (EXTENSIONS, "JSONSchemaPropsOrArray"): "schemaorarray",
           (EXTENSIONS, "JSONSchemaPropsOrStringArray"): "schemaorstrings"}
SKIPPED = re.compile(r"_test\.go$|^zz_generated|generated\.pb\.go$|_swagger_doc_generated\.go$|_proto\.go$"
                     r"|_fuzz\.go$|fieldsv1_(byte|string)\.go$")


class Named:
    """A named Go type with its markers; `members` is None unless it is a struct."""

    def __init__(self, package, name, markers, spelled=None, members=None):
        self.package, self.name, self.markers = package, name, markers
        self.spelled, self.members = spelled, members


def checkout(path):
    """A folder with the sources: `path` itself, or an unpacked copy of the git directory `path`."""
    if os.path.isdir(os.path.join(path, "pkg")) or os.path.isdir(os.path.join(path, "core")):
        return path
    folder = tempfile.mkdtemp()
    archive = subprocess.Popen(["git", "--git-dir", path, "archive", "HEAD"], stdout=subprocess.PIPE)
    subprocess.check_call(["tar", "x", "-C", folder], stdin=archive.stdout)
    return folder


def markers_of(comments):
    found = {}
    for line in comments:
        match = re.match(r"//\s*\+([A-Za-z0-9:]+)(?:=(.*))?$", line)
        if match:
            found.setdefault(match[1], []).append((match[2] or "").strip())
    return found


def parse(folder, package):
    """All named types and the string constants by name and by type."""
    types, constants, values = {}, {}, {}
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".go") or SKIPPED.search(name):
            continue
        with open(os.path.join(folder, name)) as file:
            lines = [line.strip() for line in file]
        comments, at = [], 0
        while at < len(lines):
            line = lines[at]
            constant = re.match(r'(?:const )?(\w+)\s+([\w.]+)\s*=\s*"([^"]*)"', line)
            if line.startswith("//"):
                comments.append(line)
            elif struct := re.match(r"type (\w+) struct \{$", line):
                members, at = parse_struct(lines, at + 1)
                types[struct[1]] = Named(package, struct[1], markers_of(comments), members=members)
                comments = []
            elif empty := re.match(r"type (\w+) struct ?\{\}$", line):
                types[empty[1]] = Named(package, empty[1], markers_of(comments), members=[])
                comments = []
            elif other := re.match(r"type (\w+) =? ?([^ {]\S*(?: \S+)?)$", line):
                types[other[1]] = Named(package, other[1], markers_of(comments), other[2].split(" //")[0])
                comments = []
            elif constant:
                constants[constant[1]] = constant[3]
                values.setdefault(constant[2], []).append(constant[3])
                comments = []
            elif line:
                comments = []
            at += 1
    return types, constants, values


def parse_struct(lines, at):
    members, comments = [], []
    while lines[at] != "}":
        line = lines[at]
        if line.startswith("//"):
            comments.append(line)
        elif match := re.match(r"(?:(\w+)\s+)?([^\s`]+)\s+`([^`]*)`", line):
            tags = dict(re.findall(r'(\w+):"([^"]*)"', match[3]))
            members.append((match[1], match[2], tags, markers_of(comments)))
            comments = []
        elif line:
            comments = []
        at += 1
    return members, at


class Table:
    """All parsed packages."""

    def __init__(self, trees):
        self.types, self.constants, self.values = {}, {}, {}
        for folder, tree, package, _ in PACKAGES:
            if tree in trees:
                parsed = parse(os.path.join(trees[tree], folder), package)
                self.types[package], self.constants[package], self.values[package] = parsed

    def find(self, package, spelled):
        if "." in spelled:
            prefix, spelled = spelled.split(".")
            package = IMPORTS[prefix]
        return self.types[package][spelled]

    def special(self, package, spelled):
        prefix, _, name = spelled.rpartition(".")
        return SPECIAL.get((IMPORTS.get(prefix, package), name))

    def kind(self, package, spelled):
        """(kind, markers of the named types met, enum values) of a spelled Go type."""
        if spelled in SCALARS:
            return SCALARS[spelled], {}, None
        if spelled.startswith("*"):
            return self.kind(package, spelled[1:])
        if spelled.startswith("[]"):
            kind, _, enum = self.kind(package, spelled[2:])
            return "[]" + kind, {}, enum
        if match := re.match(r"map\[[\w.]+\](.+)", spelled):
            return "{}" + self.kind(package, match[1])[0], {}, None
        if special := self.special(package, spelled):
            return special, {}, None
        named = self.find(package, spelled)
        if named.members is not None:
            name = named.name if named.package == package else f"{named.package}.{named.name}"
            return "=" + name, named.markers, None
        kind, markers, enum = self.kind(named.package, named.spelled)
        if kind == "[]string":  # a named list is a message of its own in protobuf
            kind = "items"
        if "enum" in named.markers:
            found = self.values[named.package].get(named.name)
            enum = enum or (sorted(set(found)) if found else None)
        return kind.replace("=", f"={named.package}." if named.package != package and "." not in kind
                            else "="), {**markers, **named.markers}, enum

    def fields(self, package, members, via=None):
        for name, spelled, tags, markers in members:
            json_name, *options = tags.get("json", "").split(",")
            proto = tags.get("protobuf", "").split(",")
            number = int(proto[1]) if len(proto) > 1 and via != "0" else 0
            if json_name == "-" or "json" not in tags and "protobuf" in tags:
                continue
            if name is None and not json_name:
                inner = self.find(package, spelled.lstrip("*"))
                path = f"{via}.{number}" if via else str(number)
                yield from self.fields(inner.package, inner.members, path)
                continue
            yield package, json_name, number, spelled, options, tags, markers, via

    def default(self, package, text):
        if match := re.match(r"ref\((\w+)\)", text):
            return json.dumps(self.constants[package][match[1]])
        return json.dumps(json.loads(text), separators=(",", ":"))

    def line(self, home, field):
        package, name, number, spelled, options, tags, markers, via = field
        kind, named, enum = self.kind(package, spelled)
        if package != home:  # inlined from another package
            kind = re.sub(r"=(\w+)$", rf"={package}.\1", kind)
        flags = []
        omit = {"o": "omitempty" in options, "z": "omitzero" in options}
        if "optional" not in markers and not any(omit.values()):
            flags.append("r")
        if spelled.startswith("*"):
            flags.append("p")
        flags += [flag for flag, on in omit.items() if on]
        if via and number:
            flags.append(f"via={via}")
        both = {**named, **markers}
        if "listType" in both and kind.startswith(("[]", "items")):
            keys = ":" + ",".join(both["listMapKey"]) if both["listType"][0] == "map" else ""
            flags.append(f"list={both['listType'][0]}{keys}")
        if both.get("mapType", [""])[0] == "atomic" or both.get("structType", [""])[0] == "atomic":
            flags.append("map=atomic")
        strategy, key = tags.get("patchStrategy"), tags.get("patchMergeKey")
        if strategy:
            flags.append(f"patch={strategy}" + (f":{key}" if key else ""))
        if "default" in markers:
            flags.append("default=" + self.default(package, markers["default"][0]))
        if enum and not kind.startswith("{}"):
            flags.append("enum=" + "|".join(enum))
        return "\t".join([name, str(number), kind, *flags])


def known_fields(table, folder):
    """(package, type, field) -> True for all fields that the release's round-trip data fills in."""
    seen = set()

    def walk(package, named, value):
        if not isinstance(value, dict) or named.members is None:
            return
        for home, name, _, spelled, *_ in table.fields(package, named.members):
            if name in value:
                seen.add((package, named.name, name))
                descend(home, spelled, value[name])

    def descend(package, spelled, value):
        spelled = spelled.lstrip("*")
        if spelled.startswith("[]") and isinstance(value, list):
            for item in value:
                descend(package, spelled[2:], item)
        elif (match := re.match(r"map\[[\w.]+\](.+)", spelled)) and isinstance(value, dict):
            for item in value.values():
                descend(package, match[1], item)
        elif spelled not in SCALARS and not spelled.startswith(("[]", "map[")) and not table.special(package, spelled):
            named = table.find(package, spelled)
            if named.members is not None:
                walk(named.package, named, value)
            else:
                descend(named.package, named.spelled, value)

    by_group_version = {group_version: package for _, _, package, group_version in PACKAGES}
    for name in sorted(os.listdir(folder)):
        if name.endswith(".json") and ".after_roundtrip" not in name:
            with open(os.path.join(folder, name)) as file:
                value = json.load(file)
            package = by_group_version.get(value.get("apiVersion"))
            if package in table.types and value.get("kind") in table.types[package]:
                walk(package, table.types[package][value["kind"]], value)
    return seen


class Release:
    """Which types and fields are written: those that a release's data knows, or all."""

    def __init__(self, table, seen):
        self.table, self.seen = table, seen
        self.walked = {(package, name) for package, name, _ in seen}

    def fields(self, named):
        for field in self.table.fields(named.package, named.members):
            key = (named.package, named.name, field[1])
            new = (named.package, named.name) in self.walked and key not in self.seen and field[2] != 0
            if new:
                print(f"left out as unknown to the release: {named.name}.{field[1]}", file=sys.stderr)
            else:
                yield field

    def kinds(self, package):
        """The types that are kinds of their own; all types of meta/v1 count as such."""
        for name, named in sorted(self.table.types[package].items()):
            if named.members is None or (package, name) in SPECIAL or not name[0].isupper():
                continue
            item = name.removesuffix("List")  # the round-trip data has no lists
            unknown = self.seen and (package, item) not in self.walked and package not in OUTSIDE
            if package == META or is_top(self.table.fields(package, named.members)) and not unknown:
                yield named

    def reachable(self):
        """Every type that the kinds need: {package: {name: (type, field lines)}}."""
        found = {package: {} for package in self.table.types}
        todo = [named for package in found for named in self.kinds(package)]
        while todo:
            named = todo.pop()
            if named.name in found[named.package]:
                continue
            fields = list(self.fields(named))
            lines = [self.table.line(named.package, field) for field in fields]
            found[named.package][named.name] = (named, is_top(fields), lines)
            for line in lines:
                if match := re.search(r"=(?:(\S+)\.)?(\w+)$", line.split("\t")[2]):
                    todo.append(self.table.types[match[1] or named.package][match[2]])
        return found


def is_top(fields):
    return {"apiVersion", "kind"} <= {field[1] for field in fields if field[2] == 0}


def write(table, seen, out):
    found = Release(table, seen).reachable()
    for _, _, package, group_version in PACKAGES:
        if not found.get(package):
            continue
        out.write(f"@{package} {group_version}\n")
        for name, (named, top, lines) in sorted(found[package].items()):
            atomic = named.markers.get("structType", [""])[0] == "atomic"
            out.write(f":{name}{' atomic' if atomic else ''}{' top' if top else ''}\n")
            out.write("".join(line + "\n" for line in lines))


def main():
    arguments, release = sys.argv[1:], None
    if "--release" in arguments:
        at = arguments.index("--release")
        release = arguments[at + 1]
        del arguments[at : at + 2]
    trees = dict(zip(["api", "apimachinery", "apiextensions", "aggregator"], map(checkout, arguments)))
    table = Table(trees)
    seen = known_fields(table, os.path.join(trees["api"], "testdata", release)) if release else set()
    write(table, seen, sys.stdout)


if __name__ == "__main__":
    main()
