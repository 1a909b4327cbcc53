# METADATA
# title: Provenance
# description: Demands on who built an image, from what.
package assay.lib.provenance

import data.assay.lib.attested
import data.assay.lib.purls

# METADATA
# title: Built by
# scope: document
# description: |
#   Why the provenance of an image is not accepted: there is none, or none is by a
#   builder that is wanted from a source that is wanted. One that is accepted will
#   do, as an image may have been built again. `wanted` has
#
#   - `builders`: IDs of builders, globs in which `*` does not go beyond a `/`,
#   - `repositories`: source repositories, without `git+` and without a ref,
#   - `refs`, if it matters: globs for the ref, as in `refs/tags/*`.
#
#   Provenance is as true as its signature. Ask `cosign.attestations` for one by
#   the builder itself.
# custom:
#   example: |
#     deny contains reason if {
#     	found := cosign.attestations(image, builder, "https://slsa.dev/provenance/v1")
#     	some reason in provenance.built_by(found, {
#     		"builders": ["https://github.com/acme/builder/.github/workflows/build.yml@refs/tags/*"],
#     		"repositories": ["https://github.com/acme/app"],
#     		"refs": ["refs/tags/*"],
#     	})
#     }
default built_by(_, _) := {"provenance: got none that can be judged"}

built_by(found, wanted) := reasons if {
	kinds := {"builders": "texts", "repositories": "texts"}
	reasons := attested.missing(found) | attested.demands(wanted, kinds, {"refs": "texts"})
	count(reasons) > 0
} else := set() if {
	some statement in attested.statements(found)
	_built_by(statement, wanted) == set()
} else := reasons if {
	reasons := {reason |
		some statement in attested.statements(found)
		some reason in _built_by(statement, wanted)
	}
	count(reasons) > 0
}

default _built_by(_, _) := {"provenance: got one that cannot be judged"}

_built_by(statement, wanted) := {attested.refused("provenance", made)} if {
	made := slsa.provenance(statement)
	not made.ok
} else := {reason | some reason in [builder, repository, ref]; reason != ""} if {
	made := slsa.provenance(statement)
	made.ok
	builder := _glob("builder", made.value.builder.id, wanted.builders)
	repository := _exact("repository", made.value.source.repository, wanted.repositories)
	ref := _glob("ref", made.value.source.ref, object.get(wanted, "refs", ["**"]))
}

_glob(what, got, wanted) := "" if {
	some pattern in wanted
	glob.match(pattern, ["/"], got)
} else := _differs(what, got, wanted)

_exact(what, got, wanted) := "" if {
	got in wanted
} else := _differs(what, got, wanted)

_differs(what, got, wanted) := sprintf("%s: got %s, want %s", [what, got, concat(" or ", wanted)])

# METADATA
# title: Built on
# scope: document
# description: |
#   Why the provenance of an image does not say that all images which went into it
#   are allowed: there is none, it names no image, or one that `purls` does not
#   cover, in the same `repository_url`. `allowed` has `purls`, package URLs of type
#   docker or oci. An image that goes by another kind of URI, and a package URL that
#   cannot be read, is not covered. One attestation that is accepted will do.
# custom:
#   example: |
#     deny contains reason if {
#     	found := cosign.attestations(image, builder, "https://slsa.dev/provenance/v1")
#     	some reason in provenance.built_on(found, {"purls": ["pkg:oci/go?repository_url=cgr.dev/go"]})
#     }
default built_on(_, _) := {"provenance: got none that can be judged"}

built_on(found, allowed) := reasons if {
	reasons := attested.missing(found) | attested.demands(allowed, {"purls": "texts"}, {})
	count(reasons) > 0
} else := set() if {
	some statement in attested.statements(found)
	_built_on(statement, allowed) == set()
} else := reasons if {
	reasons := {reason |
		some statement in attested.statements(found)
		some reason in _built_on(statement, allowed)
	}
	count(reasons) > 0
}

default _built_on(_, _) := {"provenance: got one that cannot be judged"}

_built_on(statement, allowed) := {attested.refused("provenance", made)} if {
	made := slsa.provenance(statement)
	not made.ok
} else := {"base image: got none among the materials, want one"} if {
	made := slsa.provenance(statement)
	count(_images(made)) == 0
} else := {sprintf("base image: got %s, want %s", [uri, concat(" or ", allowed.purls)]) |
	searched := [purl.parse(text) | some text in allowed.purls]
	some uri, found in _images(made)
	not _covered(searched, found)
} if {
	made := slsa.provenance(statement)
	made.ok
}

# The images among the materials, by their URI.
_images(made) := {material.uri: found |
	some material in made.value.materials
	found := purl.parse(material.uri)
	_image(material.uri, found)
}

_image(_, found) if found.value.type in {"docker", "oci"}

_image(uri, found) if {
	not found.ok
	regex.match(`(?i)^\s*(pkg|oci|docker|docker-image):`, uri)
}

# Without a repository_url an image is of the registry that its type stands for.
_covered(searched, found) if {
	some wide in searched
	purls.covers(wide, found)
	object.get(wide.value.qualifiers, "repository_url", "") == object.get(found.value.qualifiers, "repository_url", "")
}
