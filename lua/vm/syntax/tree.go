// Package syntax reads Lua 5.1 into a syntax tree.
//
// [Parse] turns a source into a tree of statements (Stmt) and expressions
// (Expr). [Walk] visits a tree.
//
// The lines in the tree are the lines that the reference interpreter reports in
// errors. They are not always the lines on which expressions begin: a call has
// the line of its opening parenthesis, an operation has the line of its last
// token.
//
// The package also accepts `goto name` and `::name::` of Lua 5.2, which Lua 5.1
// does not have.
package syntax

// An Expr is one of the expression types below.
type Expr interface{ expr() }

// A Stmt is one of the statement types below.
type Stmt interface{ stmt() }

type (
	// Nil is the constant nil.
	Nil struct{}
	// Bool is true or false.
	Bool struct{ Value bool }
	// Number is a number constant.
	Number struct{ Value float64 }
	// String is a string constant.
	String struct{ Value string }
	// Vararg is `...`.
	Vararg struct{ Line int }
	// Name is a variable.
	Name struct {
		Line int
		Name string
	}
	// Index is Object[Key]; Object.name has a String as Key.
	Index struct {
		Line        int
		Object, Key Expr
	}
	// Call is Func(Args...).
	Call struct {
		Line int
		Func Expr
		Args []Expr
	}
	// Method is Object:Name(Args...).
	Method struct {
		SelfLine int // line of Name
		Line     int // line of the call
		Object   Expr
		Name     string
		Args     []Expr
	}
	// Function is a function's parameters and body.
	Function struct {
		Line, End int
		Params    []string
		Vararg    bool // the last parameter is `...`
		UsesDots  bool // the body uses `...`
		Body      []Stmt
	}
	// Binary is an operation with two operands. Concat represents `..`.
	Binary struct {
		Line        int
		Op          string
		Left, Right Expr
	}
	// Concat is a chain of `..` with at least two operands.
	Concat struct {
		Line     int
		Operands []Expr
	}
	// Unary applies "-", "not" or "#" to X.
	Unary struct {
		Line int
		Op   string
		X    Expr
	}
	// Paren is (X). If X has several values, it keeps only the first one.
	Paren struct{ X Expr }
	// Table is a table constructor.
	Table struct {
		Line   int
		Fields []Field
	}
)

// A Field is one entry of a table constructor. If Key is nil, the entry is an
// item of the list.
type Field struct {
	Line       int
	Key, Value Expr
}

type (
	// Local declares Names and assigns Values to them.
	Local struct {
		Line   int
		Names  []string
		Values []Expr
	}
	// LocalFunction declares Name and assigns Func to it. Func can refer to Name.
	LocalFunction struct {
		Line int
		Name string
		Func *Function
	}
	// Assign assigns Values to Targets. Each target is a Name or an Index.
	Assign struct {
		Line    int
		Targets []Expr
		Values  []Expr
	}
	// CallStmt is a Call or a Method that is used as a statement.
	CallStmt struct{ Call Expr }
	// Do is `do Body end`.
	Do struct {
		End  int
		Body []Stmt
	}
	// While is a loop that tests Cond before each iteration.
	While struct {
		Line, End int
		Cond      Expr
		Body      []Stmt
	}
	// Repeat is a loop that tests Cond after each iteration. Cond can use the
	// locals of Body.
	Repeat struct {
		Line, End int
		Body      []Stmt
		Cond      Expr
	}
	// If has one clause for each condition.
	If struct {
		Clauses []Clause
		Else    []Stmt
	}
	// NumericFor counts from Init to Limit. Step is nil if the source has none.
	NumericFor struct {
		Line, DoLine, End int
		Name              string
		Init, Limit, Step Expr
		Body              []Stmt
	}
	// GenericFor loops over the results of an iterator.
	GenericFor struct {
		Line, DoLine, End int
		Names             []string
		Values            []Expr
		Body              []Stmt
	}
	// Return ends the function and returns Values.
	Return struct {
		Line   int
		Values []Expr
	}
	// Break leaves the innermost loop.
	Break struct{ Line int }
	// Goto jumps to a label.
	Goto struct {
		Line int
		Name string
	}
	// Label is the target of Goto.
	Label struct {
		Line int
		Name string
		Last bool // only labels and empty statements follow it in its block
	}
)

// A Clause is one condition of If with its block.
type Clause struct {
	End  int
	Cond Expr
	Body []Stmt
}

func (*Nil) expr()      {}
func (*Bool) expr()     {}
func (*Number) expr()   {}
func (*String) expr()   {}
func (*Vararg) expr()   {}
func (*Name) expr()     {}
func (*Index) expr()    {}
func (*Call) expr()     {}
func (*Method) expr()   {}
func (*Function) expr() {}
func (*Binary) expr()   {}
func (*Concat) expr()   {}
func (*Unary) expr()    {}
func (*Paren) expr()    {}
func (*Table) expr()    {}

func (*Local) stmt()         {}
func (*LocalFunction) stmt() {}
func (*Assign) stmt()        {}
func (*CallStmt) stmt()      {}
func (*Do) stmt()            {}
func (*While) stmt()         {}
func (*Repeat) stmt()        {}
func (*If) stmt()            {}
func (*NumericFor) stmt()    {}
func (*GenericFor) stmt()    {}
func (*Return) stmt()        {}
func (*Break) stmt()         {}
func (*Goto) stmt()          {}
func (*Label) stmt()         {}
