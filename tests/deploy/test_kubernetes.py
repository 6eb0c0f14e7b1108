"""deploy/kubernetes: valid for the cluster, whole for kustomize, and confined."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from support.harness import Harness
from support.requirements import need

from service.ops.metrics import exposition
from service.settings import load_settings

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
RESOURCES: list[dict[str, Any]] = [
    document
    for name in KUSTOMIZATION["resources"]
    for document in yaml.safe_load_all((FOLDER / name).read_text())
]
#: The oldest and the newest Kubernetes that are maintained or often met.
VERSIONS = ("1.29", "1.37")


def of_kind(kind: str) -> list[dict[str, Any]]:
    """The resources of one kind."""
    return [one for one in RESOURCES if one["kind"] == kind]


def pods() -> list[dict[str, Any]]:
    """What web and worker run, as pods."""
    return [
        one["spec"]["template"]["spec"] for one in (*of_kind("Deployment"), *of_kind("StatefulSet"))
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_resources_are_valid(version: str) -> None:
    """Each one is what its schema says, with no field that Kubernetes would ignore."""
    for resource in RESOURCES:
        kubernetes_validate.validate(resource, version, strict=True)


def test_a_fault_is_found() -> None:
    """A number as text, a classic, would not pass."""
    [web] = of_kind("Deployment")
    wrong = web | {"spec": web["spec"] | {"replicas": "2"}}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


def test_kustomization_is_whole() -> None:
    """It names every file beside it, and each name that a resource refers to is one of its own."""
    files = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    targets = {
        (one["spec"]["scaleTargetRef"]["kind"], one["spec"]["scaleTargetRef"]["name"])
        for one in of_kind("HorizontalPodAutoscaler")
    }
    labels = [
        one["spec"]["template"]["metadata"]["labels"]
        for one in RESOURCES
        if "template" in one["spec"]
    ]
    selected = [one["spec"]["selector"] for one in of_kind("Service")]
    guarded = [one["spec"]["selector"]["matchLabels"] for one in of_kind("PodDisruptionBudget")]

    assert files == set(KUSTOMIZATION["resources"])
    assert {("Deployment", "clipbell-web"), ("StatefulSet", "clipbell-worker")} == targets
    assert labels == selected == guarded


def test_built_by_kustomize() -> None:
    """kubectl's kustomize builds all of it, with the image and the settings in their places."""
    kubectl = shutil.which("kubectl")
    need("" if kubectl else "no kubectl (apt-get install kubernetes-client)")
    done = subprocess.run([str(kubectl), "kustomize", str(FOLDER)], capture_output=True, check=True)
    built = list(yaml.safe_load_all(done.stdout))
    images = {
        container["image"]
        for one in built
        if one["kind"] in ("Deployment", "StatefulSet")
        for container in one["spec"]["template"]["spec"]["containers"]
    }

    assert len(RESOURCES) + 1 == len(built)
    assert {"clipbell:1"} == images


def test_confined() -> None:
    """No container is root, gains rights or writes anywhere but in its volumes."""
    contexts = [
        container["securityContext"]
        for pod in pods()
        for container in (*pod.get("initContainers", []), *pod["containers"])
    ]

    assert 3 == len(contexts)
    for pod in pods():
        assert (True, False) == (
            pod["securityContext"]["runAsNonRoot"],
            pod["automountServiceAccountToken"],
        )
    for context in contexts:
        assert context["readOnlyRootFilesystem"]
        assert not context["allowPrivilegeEscalation"]
        assert ["ALL"] == context["capabilities"]["drop"]


def test_settings_are_settings() -> None:
    """The service takes what the kustomization sets."""
    [given] = KUSTOMIZATION["configMapGenerator"]
    settings = load_settings(dict(line.split("=", 1) for line in given["literals"]))

    assert ("presigned", 1) == (settings.accel, settings.trusted_proxies)


def test_scaled_by_what_metrics_say(harness: Harness) -> None:
    """The worker's scaling asks for a metric, with a label, that /metrics has while work waits."""
    harness.new_job()
    harness.clock.advance(60)
    with harness.db.read() as tx:
        text = exposition(tx, harness.clock()).decode()
    [scaling] = [
        one for one in of_kind("HorizontalPodAutoscaler") if "worker" in one["metadata"]["name"]
    ]
    metrics = [one["external"]["metric"] for one in scaling["spec"]["metrics"]]

    assert {"clipbell_work_overdue_seconds"} == {metric["name"] for metric in metrics}
    assert 'clipbell_work_overdue_seconds{kind="submit"}' in text
