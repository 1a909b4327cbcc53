package raw

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Beside are files of two owners that are read as one: policies of both see libraries and data of both.
type Beside struct {
	// Modules are the texts that one has, by path, and Documents the places below data of its documents.
	Modules   map[string]string
	Documents [][]string
	// Others are the texts of the other, by path, and Data its documents as one.
	Others map[string]string
	Data   map[string]any
}

// Mixed refuses what the other has where the first has something already: a package, or a
// document, at the place of one of the first, above or below it, or among what the first reads
// together with its own. A rule, or a member of a set, that is added there changes what the
// policies of the first say, and none of its files.
//
// What the first reads, and has nothing of, it leaves to the other.
func (b Beside) Mixed(ctx context.Context) error {
	if len(b.Modules)+len(b.Documents) == 0 || len(b.Others)+len(b.Data) == 0 {
		return nil
	}
	own, err := parseAll(ctx, b.Modules, true) // which version may be used is no question here
	if err != nil {
		return err
	}
	others, err := parseAll(ctx, b.Others, true)
	if err != nil {
		return err
	}
	has, theirs := placesOf(own), placesOf(others)
	for _, at := range b.Documents {
		has.add(at, "a data document")
	}
	found := map[string]bool{}
	note := func(path []string, there, one string) {
		found[fmt.Sprintf("%s at data.%s meets %s: want a place of its own", there, strings.Join(path, "."), one)] = true
	}
	for _, f := range others {
		path := ground(f.module.Package.Path)
		if one := has.meets(path); one != "" {
			note(path, f.path, one)
		}
	}
	for _, path := range has.paths {
		if touches(b.Data, path) {
			note(path, "data", has.at[keyed(path)])
		}
	}
	for _, f := range own {
		for _, path := range mentioned(f.module) {
			one := has.below[keyed(path)]
			if one == "" || len(path) == 0 { // all of data is nothing that a policy may read
				continue
			}
			if there := theirs.within(path); there != "" {
				note(path, there, one+", and "+f.path+" reads both together")
			}
			if touches(b.Data, path) {
				note(path, "data", one+", and "+f.path+" reads both together")
			}
		}
	}
	return first(found)
}

// first is an error with some of many texts.
func first(found map[string]bool) error {
	const most = 10
	var errs []error
	for i, text := range slices.Sorted(maps.Keys(found)) {
		if i == most {
			errs = append(errs, fmt.Errorf("and %d more", len(found)-most))
			break
		}
		errs = append(errs, errors.New(text))
	}
	return errors.Join(errs...)
}

// places say what is where, by path below data.
type places struct {
	paths     [][]string
	at, below map[string]string // what is there, and one of what is below it
}

func placesOf(files []file) *places {
	out := &places{at: map[string]string{}, below: map[string]string{}}
	for _, f := range files {
		out.add(ground(f.module.Package.Path), f.path)
	}
	return out
}

func (p *places) add(path []string, what string) {
	if _, twice := p.at[keyed(path)]; twice {
		return
	}
	p.paths = append(p.paths, path)
	p.at[keyed(path)] = what
	for i := range path {
		p.below[keyed(path[:i])] = what
	}
}

// meets is what is at a path, above or below it, "" for nothing.
func (p *places) meets(path []string) string {
	for i := range path {
		if what := p.at[keyed(path[:i+1])]; what != "" {
			return what
		}
	}
	return p.below[keyed(path)]
}

// within is what is at a path or below it.
func (p *places) within(path []string) string {
	if what := p.at[keyed(path)]; what != "" {
		return what
	}
	return p.below[keyed(path)]
}

func keyed(path []string) string { return fmt.Sprintf("%q", path) }

// touches says whether documents have something at a path, or a value where it leads through.
func touches(data any, path []string) bool {
	for _, part := range path {
		object, ok := data.(map[string]any)
		if !ok {
			return true
		}
		if data, ok = object[part]; !ok {
			return false
		}
	}
	return says(data)
}

// says is false of objects that are empty down to their ground, which OPA leaves where something was.
func says(data any) bool {
	object, ok := data.(map[string]any)
	return !ok || slices.ContainsFunc(slices.Collect(maps.Values(object)), says)
}
