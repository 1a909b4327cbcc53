package policies.registries_test

import data.policies.registries as policy

test_approved_is_allowed if {
	every image in ["ghcr.io/acme/app:v1.2.3", "GHCR.io/acme/app:1.2.3-alpine", "registry.k8s.io/kube-proxy:v1.34.0"] {
		denied(image) == set()
	}
}

test_other_registry_is_denied if {
	every image in ["nginx:1.29.0", "ghcr.io/acme-corp/app:v1.2.3", "ghcr.io.example/acme/app:v1.2.3"] {
		some denial in denied(image)
		endswith(denial, "is not of an approved registry")
	}
}

test_place_without_a_slash_is_no_beginning_of_a_name if {
	pod := review({"containers": [{"name": "c", "image": "ghcr.io/acme-corp/app:v1.2.3"}]})
	denials := policy.deny with input as pod with data.registries.approved as ["ghcr.io/acme"]
	count(denials) == 1
}

test_tag_that_moves_is_denied if {
	every tag in ["", ":latest", ":main", ":v1", ":1.29"] {
		image := concat("", ["ghcr.io/acme/app", tag])
		denied(image) == {sprintf("spec.containers[0].image: %s may change, want a digest or a version", [image])}
	}
}

test_digest_is_allowed if {
	digest := "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	denied(sprintf("ghcr.io/acme/app@%s", [digest])) == set()
	denied(sprintf("ghcr.io/acme/app:main@%s", [digest])) == set()
}

test_what_is_no_reference_is_denied if {
	every image in ["", "ghcr.io/acme/", "ghcr.io/acme/App:v1.2.3", "ghcr.io/acme/app:v1.2.3:v1.2.3", "ghcr.io/acme/../x:v1.2.3"] {
		count(denied(image)) > 0
	}
}

test_every_container_is_looked_at if {
	spec := {
		"initContainers": [{"name": "a", "image": "one"}],
		"containers": [{"name": "b", "image": "ghcr.io/acme/app:v1.2.3"}],
		"ephemeralContainers": [{"name": "c", "image": "two"}],
		"volumes": [{"name": "d", "image": {"reference": "three"}}],
	}
	denials := policy.deny with input as review(spec) with data.registries.approved as approved
	{path | some denial in denials; path := split(denial, ":")[0]} == {
		"spec.initContainers[0].image",
		"spec.ephemeralContainers[0].image",
		"spec.volumes[0].image",
	}
}

approved := ["registry.acme.example/", "ghcr.io/acme/", "registry.k8s.io/"]

denied(image) := denials if {
	pod := review({"containers": [{"name": "c", "image": image}]})
	denials := policy.deny with input as pod with data.registries.approved as approved
}

review(spec) := {"request": {
	"operation": "CREATE",
	"kind": {"group": "", "version": "v1", "kind": "Pod"},
	"object": {"kind": "Pod", "metadata": {"name": "app"}, "spec": spec},
}}
