# METADATA
# title: References
# description: Which images a policy is about, by their names.
package assay.lib.references

# METADATA
# title: Elsewhere
# scope: document
# description: |
#   Whether an image is certainly in none of the places, so that a policy about these
#   is not about it. A place is a registry or a path in one, as in `ghcr.io/acme`, and
#   has in it what lies below. What cannot be read may be anywhere: such an image is
#   not elsewhere, and with such a place, or without any, no image is.
#
#   Write this and no comparison of your own: `GHCR.io/acme/app`,
#   `ghcr.io:443/acme/app` and `ghcr.io/acme/app` are one image. `docker.io/nginx` is
#   both what lies below it and `docker.io/library/nginx`.
# custom:
#   example: |
#     deny contains "not signed" if {
#     	not references.elsewhere(image, ["ghcr.io/acme"])
#     	not cosign.verify(oci.resolve(image).ref, authority).ok
#     }
default elsewhere(_, _) := false

elsewhere(image, places) if {
	reference := oci.parse(image)
	reference.ok
	_listed(places)
	every place in places {
		not _within(_path(reference), _base(place))
		not _within(_path(reference), _path(oci.parse(place)))
		_base(place)
	}
}

_listed(places) if count([1 | some _ in places]) > 0

_within(path, base) if path == base

_within(path, base) if startswith(path, sprintf("%s/", [base]))

# The port of https says nothing.
_path(reference) := sprintf("%s/%s", [_host(trim_suffix(reference.registry, ":443")), reference.repository])

# Docker Hub answers to other names, too.
_host(name) := object.get(hub, name, name) if {
	hub := {"registry-1.docker.io": "index.docker.io", "registry.hub.docker.com": "index.docker.io"}
}

# A place as paths have it: of Docker Hub it is that of what lies below.
_base(place) := trim_suffix(_path(reference), below) if {
	is_string(place)
	below := "/x/x"
	reference := oci.parse(concat("", [trim_suffix(place, "/"), below]))
	reference.ok
}
