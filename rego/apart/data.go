package apart

import "github.com/open-policy-agent/opa/v1/ast"

// CheckData asks refuse about each reference to data in a module, bare data included, and
// gives its first refusal. It is for the stage after locals were rewritten: there a
// reference to data is one, whatever it was imported as. at is where it stands.
func CheckData(module *ast.Module, refuse func(ref ast.Ref, at *ast.Location) *ast.Error) (found *ast.Error) {
	visitor := &ast.GenericVisitor{}
	*visitor = *ast.NewGenericVisitor(func(x any) bool {
		if found != nil {
			return true
		}
		switch x := x.(type) {
		case *ast.Package:
			return true
		case *ast.Term:
			switch value := x.Value.(type) {
			case ast.Var:
				if value.Equal(ast.DefaultRootDocument.Value) {
					found = refuse(ast.Ref{x}, x.Location)
				}
			case ast.Ref:
				if value[0].Equal(ast.DefaultRootDocument) {
					at := value[0].Location
					if at == nil {
						at = x.Location
					}
					if found = refuse(value, at); found != nil {
						return true
					}
				}
				for _, term := range value[1:] {
					visitor.Walk(term)
				}
				return true
			}
		}
		return false
	})
	visitor.Walk(module)
	return found
}
