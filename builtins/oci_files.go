package builtins

import (
	"context"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/declare"
	"github.com/assay-dev/assay/builtins/oci"
)

func ociFiles() declare.Builtin {
	blank := func(p *declare.Problem) any {
		return content{Value: oci.Files{
			Text: map[string]string{}, Links: map[string]string{}, Missing: []string{}, Unreadable: map[string]string{},
		}, Error: p}
	}
	return networked(declare.Builtin{
		Name: "oci.files",
		Text: "Reads files of one image as text, by their exact paths. All layers are read and hashed: the last one wins, " +
			"and whiteouts and opaque directories hide what is below them. An index is `malformed`.",
		Args: []declare.Field{
			declare.Named("ref", types.S, "the image, by digest"),
			declare.Named("paths", types.NewAny(declare.List(types.S), types.NewSet(types.S)), "the paths, with or without a leading slash"),
		},
		Answer: "the files",
		Members: []declare.Field{declare.Object("value", "what became of each path; each is in one of the members, spelled as in `paths`",
			declare.Named("files", declare.Words(), "the text of regular files, by path"),
			declare.Named("links", declare.Words(), "where a path leads that is a symbolic link, or has one: what to ask for. "+
				"Where `paths` has that too, the link is among `files`"),
			declare.Named("missing", declare.List(types.S), "paths at which there is nothing"),
			declare.Named("unreadable", declare.Words(), "why there is no text at the other paths: a directory, a device, a hard link, bytes that are not UTF-8, more than 1 MiB"),
		)},
		Codes: registryCodes(),
		Examples: []declare.Example{{
			Expression: `oci.files("${app@}", ["/etc/os-release", "etc/shadow"])`,
			Value: `{"ok": true, "error": null, "value": {
  "files": {"/etc/os-release": "ID=debian"}, "links": {}, "missing": ["etc/shadow"], "unreadable": {}}}`,
		}},
	}, blank, func(s *Session, operands []*ast.Term) (question, *declare.Problem) {
		image, p := pinned(operands[0])
		if p != nil {
			return question{}, p
		}
		paths, p := declare.Texts("paths", operands[1])
		if p != nil {
			return question{}, p
		}
		return question{host: image.Registry, about: image.Name, lives: digestLives, get: func(ctx context.Context, as oci.Credentials) (any, time.Time, *declare.Problem) {
			found, err := s.facts.registry.Files(ctx, as, image.Name, paths)
			if err != nil {
				return nil, time.Time{}, problemOf(err)
			}
			return content{OK: true, Value: found}, time.Time{}, nil
		}}, nil
	})
}
