package sbom

import "slices"

// The kinds of relationships that mean the same in every format.
const (
	dependsOn = "depends_on"
	contains  = "contains"
)

// The relations of a package to what the document is about.
const (
	relationRoot       = "root"
	relationDirect     = "direct"
	relationTransitive = "transitive"
	relationUnknown    = "unknown"
)

// graph is scratch space for one document.
type graph struct {
	packages map[string]bool
	depends  map[string][]string
	relation map[string]string
}

// settle drops edges that do not lie between packages, and says of each package how
// it relates to the roots. Each package is visited once, so cycles end.
func (g *graph) settle(document *Document, roots []string) {
	g.packages = make(map[string]bool, len(document.Packages))
	for _, p := range document.Packages {
		g.packages[p.ID] = true
	}
	document.Relationships = slices.DeleteFunc(document.Relationships, func(r Relationship) bool {
		return !g.packages[r.From] || !g.packages[r.To]
	})
	g.depends = map[string][]string{}
	for _, r := range document.Relationships {
		if r.Kind == dependsOn {
			g.depends[r.From] = append(g.depends[r.From], r.To)
		}
	}
	g.reach(roots)
	for i := range document.Packages {
		p := &document.Packages[i]
		if p.Relation = g.relation[p.ID]; p.Relation == "" {
			p.Relation = relationUnknown
		}
	}
}

// reach walks the dependencies breadth first, so what is direct is seen first.
func (g *graph) reach(roots []string) {
	g.relation = map[string]string{}
	for _, root := range roots {
		if g.packages[root] {
			g.relation[root] = relationRoot
		}
	}
	next, relation := roots, relationDirect
	for len(next) > 0 {
		var reached []string
		for _, from := range next {
			for _, to := range g.depends[from] {
				if g.relation[to] == "" {
					g.relation[to] = relation
					reached = append(reached, to)
				}
			}
		}
		next, relation = reached, relationTransitive
	}
}
