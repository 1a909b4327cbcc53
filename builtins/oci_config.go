package builtins

import (
	"context"

	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/oci"
)

func ociConfig() declare.Builtin {
	return byDigest(declare.Builtin{
		Name:   "oci.config",
		Text:   "Reads the config file of one image. An index is `malformed`: it has several, which `oci.configs` reads.",
		Answer: "the config file",
		Members: []declare.Field{declare.Named("value", types.A,
			"the config file, with go-containerregistry's fields of `v1.ConfigFile` and no others; null when not `ok`")},
		Codes: registryCodes(),
		Examples: []declare.Example{{
			Expression: `oci.config("${app@}").value.config.User`,
			Value:      `"65532"`,
		}, {
			Expression: `oci.config("${many@}").error`,
			Value:      `{"code": "malformed", "message": "config file of ${many@}: got an index of 2 manifests, want one image"}`,
		}},
	}, nil, func(ctx context.Context, from Registry, as oci.Credentials, image oci.Reference) (any, error) {
		return from.Config(ctx, as, image.Name)
	})
}
