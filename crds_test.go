package assay_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/kube/crd"
)

// crds is where the definitions of the resources are. The comments of the types are
// what kubectl explain prints, as they are what docs/reference.md is made of.
const crds = "deploy/crds"

func TestDefinitionsAreMadeFromTheTypes(t *testing.T) {
	t.Parallel()
	comments := readComments(t, "rego/cip", "rego/resource")
	var written []string
	for _, definition := range crd.Definitions(comments.description) {
		path := filepath.Join(crds, definition.Metadata.Name+".yaml")
		written = append(written, path)
		got, err := definition.YAML()
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(path, got, 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if diff := cmp.Diff(read(t, path), string(got)); diff != "" {
			t.Errorf("%s is older than the types, run make golden (-want +got):\n%s", path, diff)
		}
	}
	found, err := filepath.Glob(filepath.Join(crds, "*"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(written)
	if diff := cmp.Diff(written, found); diff != "" {
		t.Errorf("%s (-want +got):\n%s", crds, diff)
	}
}

// description is the first paragraph of a comment with the names that users know.
func (c *comments) description(of reflect.Type, field reflect.StructField) string {
	if field.Name == "" {
		return c.unlinked("spec", of.Name(), c.texts[of.Name()])
	}
	key := of.Name() + "." + field.Name
	text := c.unlinked(c.fields[key], field.Name, c.texts[key])
	_, inner, list := shape(field.Type)
	if inner != nil {
		if _, constraint, found := strings.Cut(c.texts[inner.Name()], "exactly one of "); found {
			constraint, _, _ = strings.Cut(constraint, ". ")
			text += map[bool]string{true: " Each has e", false: " E"}[list] + "xactly one of " +
				c.unlinked("", "", strings.TrimSuffix(constraint, ".")) + "."
		}
	}
	for _, v := range c.values[field.Type.Name()] {
		text += " " + c.unlinked(fmt.Sprintf("%q", v.text), v.name, c.texts[field.Type.Name()+"."+v.name])
	}
	return text
}

// unlinked puts public in the place of a name at the beginning of a text, and the names
// that users know in the place of links.
func (c *comments) unlinked(public, name, text string) string {
	if rest, found := strings.CutPrefix(text, name+" "); found && name != "" {
		text = public + " " + rest
	}
	return linked.ReplaceAllStringFunc(text, func(link string) string { return c.fields[strings.Trim(link, "[]")] })
}

// TestBoundsOfDefinitionsAreThoseThatUsersRead compares the bounds of lists with what the
// comments promise.
func TestBoundsOfDefinitionsAreThoseThatUsersRead(t *testing.T) {
	t.Parallel()
	bound := regexp.MustCompile(`[Aa]t most ([0-9][0-9,]*)\.`)
	var check func(path string, tree any)
	check = func(path string, tree any) {
		object, _ := tree.(map[string]any)
		for name, inner := range object {
			check(path+"."+name, inner)
		}
		if object["type"] != "array" {
			return
		}
		text, _ := object["description"].(string)
		want := ""
		if match := bound.FindStringSubmatch(text); match != nil {
			want = strings.ReplaceAll(match[1], ",", "")
		}
		got := ""
		if most, ok := object["maxItems"].(float64); ok {
			got = strconv.Itoa(int(most))
		}
		if got != want {
			t.Errorf("%s: got a bound of %q, want %q as in: %s", path, got, want, text)
		}
	}
	comments := readComments(t, "rego/cip", "rego/resource")
	for _, definition := range crd.Definitions(comments.description) {
		for _, version := range definition.Spec.Versions {
			text, err := json.Marshal(version.Schema)
			if err != nil {
				t.Fatal(err)
			}
			var tree map[string]any
			if err := json.Unmarshal(text, &tree); err != nil {
				t.Fatal(err)
			}
			check(definition.Metadata.Name, tree["openAPIV3Schema"].(map[string]any)["properties"].(map[string]any)["spec"])
		}
	}
}
