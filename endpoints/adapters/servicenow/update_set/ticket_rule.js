(function executeRule(current, previous) {
    new OneioClient().postTicket(current);
})(current, previous);
