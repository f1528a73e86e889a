(function executeRule(current, previous) {
    new OneioClient().postFile(current);
})(current, previous);
