package assay.lib.references_test

import data.assay.lib.references

places := ["ghcr.io/acme", "registry.example:5000/", "docker.io/acme"]

test_images_below_a_place_are_not_elsewhere if {
	every image in [
		"ghcr.io/acme/app",
		"ghcr.io/acme/app/part:v1",
		"ghcr.io/acme",
		"GHCR.io/acme/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"ghcr.io:443/acme/app",
		"registry.example:5000/app",
		"acme/app",
		"docker.io/acme/app",
		"index.docker.io/acme/app",
		"registry-1.docker.io/acme/app",
		"registry.hub.docker.com/acme/app",
		"acme",
		"docker.io/library/acme",
	] {
		not references.elsewhere(image, places)
	}
}

test_others_are_elsewhere if {
	every image in [
		"ghcr.io/acme-corp/app",
		"ghcr.io/other/acme/app",
		"ghcr.io:80/acme/app",
		"ghcr.io.example/acme/app",
		"registry.example/app",
		"nginx",
		"docker.io/library/acme-corp",
	] {
		references.elsewhere(image, places)
	}
}

test_a_registry_is_a_place if {
	every place in ["ghcr.io", "ghcr.io/", "GHCR.io", "ghcr.io:443"] {
		not references.elsewhere("ghcr.io/acme/app", [place])
		references.elsewhere("quay.io/acme/app", [place])
	}
	every image in ["nginx", "acme/app"] {
		not references.elsewhere(image, ["docker.io"])
	}
}

test_what_cannot_be_read_is_not_elsewhere if {
	every image in ["", "ghcr.io/other/App", "quay.io/a/../b", "ghcr.io./acme/app", null, 5] {
		not references.elsewhere(image, places)
	}
}

test_places_that_cannot_be_read_have_every_image if {
	lists := [[], set(), ["ghcr.io/acme", ""], ["ghcr.io/Acme"], ["https://ghcr.io/acme"], [null]]
	every wrong in array.concat(lists, [null, "ghcr.io/acme", 5]) {
		not references.elsewhere("quay.io/other/app", wrong)
	}
}
