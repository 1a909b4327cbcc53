package builtins

import (
	"context"
	"encoding/json"

	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/oci"
)

func ociManifest() declare.Builtin {
	return byDigest(declare.Builtin{
		Name: "oci.manifest",
		Text: "Reads the image manifest or index that a reference names. `ref` must have a digest, and the bytes were hashed. " +
			"After `oci.resolve` of a tag it costs no request: the manifest is the one that was read then.",
		Answer:  "the manifest",
		Members: []declare.Field{declare.Named("value", types.A, "the manifest as JSON, an image's or an index's; null when not `ok`")},
		Codes:   registryCodes(),
		Examples: []declare.Example{{
			Expression: `oci.manifest("${app@}").value.mediaType`,
			Value:      `"application/vnd.oci.image.manifest.v1+json"`,
		}},
	}, nil, func(ctx context.Context, from Registry, as oci.Credentials, image oci.Reference) (any, error) {
		body, err := from.Manifest(ctx, as, image.Name)
		return json.RawMessage(body), err
	})
}
