package world_test

import (
	"fmt"

	"github.com/assay-dev/assay/world"
)

// A world with one signed image, as a policy author would try a policy on it.
func Example() {
	description, err := world.Parse([]byte(`
signers:
  jane: {issuer: https://github.com/login/oauth, subject: jane@example.com}
images:
  app:
    repository: acme/app
    tag: v1
    signatures:
      - {signer: jane}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	w, err := world.New(description)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = w.Close() }()

	fmt.Println(w.Redact(w.Expand("images: [{glob: ${registry}/acme/**}]")))
	fmt.Println(w.Redact(w.Expand("image: ${app}")))
	// Output:
	// images: [{glob: registry.example/acme/**}]
	// image: registry.example/acme/app:v1
}
