package assay.lib.provenance_test

import data.assay.lib.given_test as given
import data.assay.lib.provenance

_made(builder, uri, materials) := given.statement("https://slsa.dev/provenance/v0.2", {
	"builder": {"id": builder},
	"buildType": "https://example.com/build",
	"invocation": {"configSource": {"uri": uri}},
	"materials": [{"uri": material} | some material in materials],
})

_good := _made("https://example.com/build.yml@refs/tags/v1", "git+https://github.com/acme/app@refs/tags/v2", [])

_wanted := {
	"builders": ["https://example.com/*.yml@refs/tags/v*"],
	"repositories": {"https://github.com/acme/app"},
	"refs": ["refs/tags/*"],
}

test_built_by_accepts[note] if {
	some note, case in {
		"one": [[_good], _wanted],
		"one of two": [[_made("https://example.com/other", "", []), _good], _wanted],
		"any ref where none is asked for": [
			[_made("https://example.com/build.yml@refs/tags/v1", "git+https://github.com/acme/app@refs/heads/a/b", [])],
			object.remove(_wanted, ["refs"]),
		],
		"no ref where none is asked for": [
			[_made("https://example.com/build.yml@refs/tags/v1", "https://github.com/acme/app", [])],
			object.remove(_wanted, ["refs"]),
		],
	}
	[statements, wanted] := case
	provenance.built_by(given.attested(statements), wanted) == set()
}

test_built_by_refuses[note] if {
	some note, case in {
		"another builder": [
			["https://example.com/evil/build.yml@refs/tags/v1", "git+https://github.com/acme/app@refs/tags/v2"],
			"builder: got https://example.com/evil/build.yml@refs/tags/v1, want https://example.com/*.yml@refs/tags/v*",
		],
		"another repository": [
			["https://example.com/build.yml@refs/tags/v1", "git+https://github.com/acme/app2@refs/tags/v2"],
			"repository: got https://github.com/acme/app2, want https://github.com/acme/app",
		],
		"another ref": [
			["https://example.com/build.yml@refs/tags/v1", "git+https://github.com/acme/app@refs/heads/main"],
			"ref: got refs/heads/main, want refs/tags/*",
		],
		"a branch that is named for a tag": [
			["https://example.com/build.yml@refs/tags/v1", "git+https://github.com/acme/app@refs/heads/x@refs/tags/v1"],
			"ref: got refs/heads/x@refs/tags/v1, want refs/tags/*",
		],
		"no ref": [
			["https://example.com/build.yml@refs/tags/v1", "git+https://github.com/acme/app"],
			"ref: got , want refs/tags/*",
		],
	}
	[[builder, uri], want] := case
	provenance.built_by(given.attested([_made(builder, uri, [])]), _wanted) == {want}
}

test_built_by_tells_all_reasons_of_all if {
	reasons := provenance.built_by(given.attested([_made("a", "b", []), _made("c", "b", [])]), _wanted)
	count(reasons) == 4
}

test_unreadable[note] if {
	some note, case in {
		"no answer": [null, "no attestation: got no answer of cosign.attestations"],
		"no attestation": [given.refused, "no attestation: nothing there (not_found)"],
		"no provenance": [
			given.attested([given.statement("https://slsa.dev/provenance/v1", {})]),
			"provenance: document.predicate.runDetails.builder.id: got none, want one (malformed)",
		],
	}
	[found, want] := case
	provenance.built_by(found, _wanted) == {want}
	provenance.built_on(found, {"purls": ["pkg:docker/alpine"]}) == {want}
}

test_demands if {
	provenance.built_by(given.attested([_good]), {"builders": ["**"], "repository": ["a"]}) == {
		"demands: got no repositories, want it",
		"demands: got the key repository, want one of builders, refs, repositories",
	}
	provenance.built_on(given.attested([_good]), {"purls": []}) == {"demands: got no purls, want it"}
}

_on(materials) := given.attested([_made("b", "", array.concat(["git+https://github.com/acme/app", ""], materials))])

test_built_on_accepts[note] if {
	some note, materials in {
		"one": ["pkg:docker/alpine@3.20?digest=sha256:aa"],
		"two": ["pkg:docker/alpine@3.20?digest=sha256:aa", "pkg:oci/go@sha256:bb?repository_url=cgr.dev/go"],
	}
	allowed := {"purls": ["pkg:docker/alpine@3.20", "pkg:oci/go?repository_url=cgr.dev/go"]}
	provenance.built_on(_on(materials), allowed) == set()
}

test_built_on_refuses[note] if {
	some note, case in {
		"none": [[], "base image: got none among the materials, want one"],
		"another": [
			["pkg:docker/alpine@3.20", "pkg:docker/evil@1"],
			"base image: got pkg:docker/evil@1, want pkg:docker/alpine@3.20",
		],
		"that of another registry": [
			["pkg:docker/alpine@3.20?repository_url=evil.example"],
			"base image: got pkg:docker/alpine@3.20?repository_url=evil.example, want pkg:docker/alpine@3.20",
		],
		"one that cannot be read": [
			["pkg:docker/alpine@3.20", " pkg:docker/evil"],
			"base image: got  pkg:docker/evil, want pkg:docker/alpine@3.20",
		],
		"one by another kind of URI": [
			["pkg:docker/alpine@3.20", "oci://evil.example/a"],
			"base image: got oci://evil.example/a, want pkg:docker/alpine@3.20",
		],
		"another version": [["pkg:docker/alpine@3.2"], "base image: got pkg:docker/alpine@3.2, want pkg:docker/alpine@3.20"],
	}
	[materials, want] := case
	provenance.built_on(_on(materials), {"purls": ["pkg:docker/alpine@3.20"]}) == {want}
}

_undefined("nothing") := 0

# Whatever is undefined inside, there is a reason.
test_undefined_is_a_reason if {
	found := given.attested([_good])
	purls := {"purls": ["pkg:a/b"]}
	built := [provenance.built_by(found, _wanted), provenance.built_on(found, purls)] with slsa.provenance as _undefined
	every reasons in built {
		reasons == {"provenance: got one that cannot be judged"}
	}
	judged := [
		provenance.built_by(found, _wanted),
		provenance.built_on(found, purls),
	] with data.assay.lib.attested.missing as _undefined
		with data.assay.lib.attested.statements as _undefined
	every reasons in judged {
		reasons == {"provenance: got none that can be judged"}
	}
}
