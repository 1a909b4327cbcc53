# METADATA
# title: Images
# description: Demands on an image itself.
package assay.lib.images

import data.assay.lib.attested

# METADATA
# title: Older
# scope: document
# description: |
#   Why the age of an image is not accepted: its config file cannot be had or does
#   not say when it was created, that is to come, or too long ago. `config` is the
#   answer of `oci.config`; `wanted` has `days` and `now`, which is `time.now_ns()`.
#   Builds that are reproducible often say 1970.
# custom:
#   example: |
#     deny contains reason if {
#     	some reason in images.older(oci.config(image), {"days": 90, "now": time.now_ns()})
#     }
default older(_, _) := {"image: got no config file that can be judged"}

older(config, wanted) := reasons if {
	reasons := _missing(config) | _wrong(wanted)
	count(reasons) > 0
} else := _old("image", config.value, wanted)

# METADATA
# title: Any older
# scope: document
# description: |
#   The same for an index, or for an image whatever it is: `configs` is the answer of
#   `oci.configs`, and every config file in it is judged.
# custom:
#   example: |
#     deny contains reason if {
#     	some reason in images.any_older(oci.configs(image), {"days": 90, "now": time.now_ns()})
#     }
default any_older(_, _) := {"image: got no config files that can be judged"}

any_older(configs, wanted) := reasons if {
	reasons := _missing(configs) | _wrong(wanted)
	count(reasons) > 0
} else := {"image: got no config file"} if {
	count(configs.value) == 0
} else := set() if {
	every platform, config in configs.value {
		_old(platform, config, wanted) == set()
	}
} else := reasons if {
	reasons := {reason |
		some platform, config in configs.value
		some reason in _old(sprintf("image for %s", [platform]), config, wanted)
	}
	count(reasons) > 0
}

_wrong(wanted) := attested.demands(wanted, {"days": "number", "now": "number"}, {})

_missing(answer) := {attested.refused("image", answer)} if {
	answer.ok == false
} else := set() if {
	answer.ok == true
} else := {"image: got no answer of a builtin"}

_old(what, config, wanted) := set() if {
	age := (wanted.now - _instant(config.created)) / 86400000000000
	age >= 0
	age <= wanted.days
} else := {sprintf("%s: created %s, want within %v days", [what, config.created, wanted.days])} if {
	_instant(config.created) <= wanted.now
} else := {sprintf("%s: created %s, which is to come", [what, config.created])} if {
	_instant(config.created)
} else := {sprintf("%s: got created %v, want a time", [what, object.get(config, "created", null)])} if {
	is_object(config)
} else := {sprintf("%s: got a config file that cannot be judged", [what])}

# Of a text that time.parse_rfc3339_ns reads: what it does not read would end the
# evaluation.
_instant(text) := time.parse_rfc3339_ns(text) if {
	is_string(text)
	regex.match(`^(19[7-9][0-9]|2[01][0-9]{2})-(0[1-9]|1[0-2])-([0-2][0-9]|3[01])T`, text)
	regex.match(`T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`, text)
	not regex.match(`-00T|-0[2469]-31|-11-31|-02-30`, text)
	not _no_leap_day(text)
}

_no_leap_day(text) if {
	regex.match(`-02-29T`, text)
	not regex.match(`^([0-9]{2}(0[48]|[2468][048]|[13579][26])|2000)-`, text)
}

# METADATA
# title: Based on
# scope: document
# description: |
#   Why the base image that an image names is not accepted: its manifest cannot be
#   had, names none, or one that is not in the list. `manifest` is the answer of
#   `oci.manifest`; the names are those of the annotations
#   `org.opencontainers.image.base.name` and `.digest`. `allowed` has `names`, globs
#   for repositories in which `*` does not go beyond a `/`, and may have `digests`.
#
#   Builders write the annotations. They are part of what was signed, and nothing
#   checks them against the layers: `built_on` does.
# custom:
#   example: |
#     deny contains reason if {
#     	some reason in images.based_on(oci.manifest(image), {"names": ["cgr.dev/chainguard/*"]})
#     }
default based_on(_, _) := {"base image: got no manifest that can be judged"}

based_on(manifest, allowed) := reasons if {
	reasons := _missing(manifest) | attested.demands(allowed, {"names": "texts"}, {"digests": "texts"})
	count(reasons) > 0
} else := {sprintf("base image: got %s that is no reference", [name])} if {
	name := _annotation(manifest, "name")
	not oci.parse(name).ok
} else := _not_named(manifest, allowed) | _not_that_digest(manifest, allowed)

_annotation(manifest, key) := object.get(manifest.value, ["annotations", name], "") if {
	name := sprintf("org.opencontainers.image.base.%s", [key])
}

_not_named(manifest, allowed) := set() if {
	parsed := oci.parse(_annotation(manifest, "name"))
	some pattern in allowed.names
	glob.match(pattern, ["/"], sprintf("%s/%s", [parsed.registry, parsed.repository]))
} else := {_differs("got", _annotation(manifest, "name"), allowed.names)}

_not_that_digest(manifest, allowed) := set() if {
	not allowed.digests
} else := set() if {
	_annotation(manifest, "digest") in allowed.digests
} else := {_differs("got the digest", _annotation(manifest, "digest"), allowed.digests)}

_differs(what, got, wanted) := sprintf("base image: %s %s, want %s", [what, got, concat(" or ", wanted)])

# METADATA
# title: Built on
# description: |
#   Why an image is not made of the layers of one of the base images: its config file
#   or all of theirs cannot be had, or its layers do not begin with those of any.
#   `config` and the elements of `bases` are answers of `oci.config`. A base image
#   without layers is none.
# custom:
#   example: |
#     deny contains reason if {
#     	bases := [oci.config("cgr.dev/chainguard/static@sha256:…")]
#     	some reason in images.built_on(oci.config(image), bases)
#     }
built_on(config, bases) := reasons if {
	reasons := _missing(config)
	count(reasons) > 0
} else := set() if {
	layers := config.value.rootfs.diff_ids
	some base in bases
	base.ok == true
	count(base.value.rootfs.diff_ids) > 0
	array.slice(layers, 0, count(base.value.rootfs.diff_ids)) == base.value.rootfs.diff_ids
} else := none | refused if {
	none := {"base image: got layers that begin with those of none of the base images"}
	refused := {attested.refused("base image", base) |
		some base in bases
		not base.ok
	}
}
