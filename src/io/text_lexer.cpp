#include "io/text_lexer.h"

namespace resnet::text {

using google::protobuf::io::Tokenizer;

void Lexer::Collector::AddError(int, google::protobuf::io::ColumnNumber, const std::string& text) {
  if (!message) message = text;
}

Lexer::Lexer(std::string_view text)
    : text_(text),
      stream_(text.data(), static_cast<int>(text.size())),
      tokenizer_(&stream_, &collector_) {
  // The settings of TextFormat, which parses the text afterwards.
  tokenizer_.set_allow_f_after_float(true);
  tokenizer_.set_comment_style(Tokenizer::SH_COMMENT_STYLE);
  line_begin_.push_back(0);
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') line_begin_.push_back(i + 1);
  }
  next();
}

bool Lexer::at_end() const { return current_.type == Tokenizer::TYPE_END; }

bool Lexer::try_consume(std::string_view s) {
  if (!is(s) || current_.type == Tokenizer::TYPE_STRING) return false;
  next();
  return true;
}

void Lexer::next() {
  previous_ = current_;
  collector_.message.reset();
  tokenizer_.Next();
  const Tokenizer::Token& t = tokenizer_.current();
  const size_t begin = offset_of(t.line, t.column);
  current_ = {t.type, t.text, t.line, t.column, begin, begin + t.text.size()};
}

// Tokens come in order, so the search goes on where the last token began.
size_t Lexer::offset_of(int line, int column) const {
  if (static_cast<size_t>(line) >= line_begin_.size()) return text_.size();
  const bool same_line = line == current_.line && column >= current_.column;
  size_t i = same_line ? current_.begin : line_begin_[static_cast<size_t>(line)];
  for (int c = same_line ? current_.column : 0; c < column && i < text_.size(); ++i) {
    c += text_[i] == '\t' ? 8 - c % 8 : 1;
  }
  return i;
}

}  // namespace resnet::text
