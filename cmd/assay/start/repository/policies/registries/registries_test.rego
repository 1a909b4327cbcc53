package policies.registries_test

import data.policies.registries as policy

test_registry_in_use_is_allowed if count(denied("registry.example/acme/app:v1")) == 0

test_other_registry_is_denied if {
	some denial in denied("docker.io/library/nginx:1.29")
	endswith(denial.msg, "is in no registry that we use")
	denial.path == "spec.containers[0].image"
}

test_no_reference_is_denied if {
	every image in ["", "registry.example/App:v1", "registry.example/app:v1:v2", "registry.example"] {
		count(denied(image)) > 0
	}
}

test_latest_is_denied if {
	every image in ["registry.example/acme/app", "registry.example/acme/app:latest"] {
		some denial in denied(image)
		contains(denial.msg, "names no version")
	}
}

test_digest_is_allowed if {
	digest := "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	count(denied(sprintf("registry.example/acme/app:latest@%s", [digest]))) == 0
}

test_images_of_cronjobs_are_found if {
	spec := {"jobTemplate": {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "nginx:1.29"}]}}}}}
	some denial in policy.deny with input as review("batch", "CronJob", spec) with data.registries.in_use as ["ghcr.io"]
	denial.path == "spec.jobTemplate.spec.template.spec.containers[0].image"
}

denied(image) := denials if {
	pod := review("", "Pod", {"containers": [{"name": "c", "image": image}]})
	denials := policy.deny with input as pod with data.registries.in_use as ["registry.example"]
}

review(group, kind, spec) := {"request": {
	"operation": "CREATE",
	"kind": {"group": group, "version": "v1", "kind": kind},
	"object": {"kind": kind, "metadata": {"name": "app"}, "spec": spec},
}}
